import type { Log } from '../log.ts';
import type { CurrentSpan } from './current-span.ts';
import type { TraceParent } from './trace-parent.ts';
import type { TracingSettings } from './tracing-settings.ts';

/** Names and numbers only: nothing that a caller sent, no statement, no email (a span goes to whoever reads traces). */
export type Attributes = Readonly<Record<string, string | number>>;

/** Does a step of a call within a span of its own; `UNTRACED` just does it. */
export type Step = <T>(name: string, run: () => Promise<T>, attributes?: Attributes) => Promise<T>;

export const UNTRACED: Step = (_name, run) => run();

/** The caller's span, with the `tracestate` that came with it. */
export interface RemoteParent extends TraceParent {
  readonly state: string | undefined;
}

/** The end of a call; the reason is one of the API's. */
export interface CallOutcome {
  readonly code: number;
  readonly reason?: string | undefined;
}

/** The span of a call that is recorded. */
export interface CallSpan {
  run<T>(work: () => T): T;
  end(outcome: CallOutcome): void;
}

/** Spans, for those who collect them. If nobody does, there is no tracer, and nothing is done for one. */
export interface Tracer {
  /** For one RPC, by its path; what comes back begins the span of a call, unless that is not among those that are recorded. */
  forRpc(path: string): (parent: RemoteParent | undefined, attributes: () => Attributes) => CallSpan | undefined;
  /** Only within a call, or a task, that is recorded. */
  readonly step: Step;
  /** For work that the service does without a call. */
  readonly task: Step;
  /** Tells whether a caller's span is to be the parent of ours. */
  readonly takesOver: boolean;
  /** Sends what was not sent yet, for a second at most. May be called again, to wait for it. */
  close(): Promise<void>;
}

/** Nothing of OpenTelemetry is loaded before somebody wants to have spans: it takes 5 MB. */
export async function openTracer(settings: TracingSettings, current: CurrentSpan, log: Log): Promise<Tracer> {
  const { OpenTelemetryTracer } = await import('./open-telemetry.ts');
  return OpenTelemetryTracer.open(settings, current, log);
}
