import { createTraceState, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { endsWithin } from '../../concurrency/time-limit.ts';
import type { Log } from '../log.ts';
import type { CurrentSpan } from './current-span.ts';
import { openExporter } from './exporter.ts';
import { samplerOf } from './sampler.ts';
import type { Attributes, CallOutcome, CallSpan, RemoteParent, Step, Tracer } from './tracer.ts';
import type { TracingSettings } from './tracing-settings.ts';

/** A collector that does not answer must not keep the service from ending. */
const FLUSH_MS = 1000;

/** In characters: for what a caller can choose, such as the request id. */
const MAX_ATTRIBUTE_LENGTH = 256;

/** Codes that say that the server is to blame: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const SERVER_FAULTS: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15]);

/** The maker and collector of spans, with the semantic conventions of OpenTelemetry for RPC and databases. */
export class OpenTelemetryTracer implements Tracer {
  readonly takesOver: boolean;
  readonly #provider: TracerProvider;
  readonly #tracer: ReturnType<TracerProvider['getTracer']>;
  readonly #current: CurrentSpan;
  readonly #server: Attributes;
  #closing: Promise<unknown> | undefined;

  static async open(settings: TracingSettings, current: CurrentSpan, log: Log): Promise<OpenTelemetryTracer> {
    const exporter = await openExporter(settings, log);
    const provider = new TracerProvider({
      resource: defaultResource().merge(resourceFromAttributes(settings.resource)),
      sampler: samplerOf(settings),
      spanLimits: { attributeValueLengthLimit: MAX_ATTRIBUTE_LENGTH },
      spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: settings.delayMs })],
    });
    return new OpenTelemetryTracer(provider, current, settings);
  }

  private constructor(provider: TracerProvider, current: CurrentSpan, { takesOver, server }: TracingSettings) {
    this.#provider = provider;
    this.#tracer = provider.getTracer('identity');
    this.#current = current;
    this.#server = server;
    this.takesOver = takesOver;
  }

  forRpc(path: string): (parent: RemoteParent | undefined, attributes: () => Attributes) => CallSpan | undefined {
    const [, service = '', method = ''] = path.split('/');
    const attributes = { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': method, ...this.#server };
    const options = { kind: SpanKind.SERVER, attributes };
    return (parent, more) => {
      const span = this.#tracer.startSpan(`${service}/${method}`, options, contextOf(parent));
      if (!span.isRecording()) return undefined;
      span.setAttributes(more());
      return { run: (work) => this.#current.within(span, work), end: (outcome) => endCall(span, outcome) };
    };
  }

  readonly step: Step = (name, run, attributes) => {
    const parent = this.#current.get();
    return parent === undefined ? run() : this.#record(name, run, attributes, parent);
  };

  readonly task: Step = (name, run, attributes) => this.#record(name, run, attributes);

  async close(): Promise<void> {
    // Spans that could not be sent were logged already.
    const flushed = () => this.#provider.shutdown().catch(() => undefined);
    this.#closing ??= endsWithin(FLUSH_MS, flushed());
    await this.#closing;
  }

  async #record<T>(name: string, run: () => Promise<T>, attributes: Attributes = {}, parent?: Span): Promise<T> {
    const kind = attributes['db.system.name'] === undefined ? SpanKind.INTERNAL : SpanKind.CLIENT;
    const span = this.#tracer.startSpan(name, { kind, attributes }, parent ? trace.setSpan(ROOT_CONTEXT, parent) : ROOT_CONTEXT);
    if (!span.isRecording()) return run();
    try {
      return await this.#current.within(span, run);
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR }).setAttribute('error.type', typeOf(error));
      throw error;
    } finally {
      span.end();
    }
  }
}

function contextOf(parent: RemoteParent | undefined) {
  if (parent === undefined) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: parent.traceId,
    spanId: parent.spanId,
    traceFlags: parent.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(parent.state !== undefined && { traceState: createTraceState(parent.state) }),
  });
}

function endCall(span: Span, { code, reason }: CallOutcome): void {
  span.setAttribute('rpc.grpc.status_code', code);
  if (reason !== undefined) span.setAttribute('error.type', reason);
  if (SERVER_FAULTS.has(code)) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}

/** A SQLSTATE, a system's or our own code, or the name of the class. Never the message: those of the ORM quote what they were given. */
function typeOf(error: unknown): string {
  const { reason, code, name } = error as { readonly reason?: unknown; readonly code?: unknown; readonly name?: unknown };
  return ([reason, code, name].find((value) => typeof value === 'string' && /^\w{1,64}$/.test(value)) as string | undefined) ?? 'unknown';
}
