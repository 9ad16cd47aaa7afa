import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { expect } from 'vitest';

/** Kinds and status codes of OTLP. */
export const INTERNAL = 1;
export const SERVER = 2;
export const CLIENT = 3;
export const ERROR = 2;

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: a root. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: number;
  /** 0: unset. */
  readonly status: number;
  readonly statusMessage: string;
  readonly startNanos: bigint;
  readonly endNanos: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resource: Readonly<Record<string, unknown>>;
}

type Value = { readonly [type in 'stringValue' | 'boolValue' | 'intValue' | 'doubleValue']?: unknown };
type KeyValues = readonly { readonly key: string; readonly value: Value }[];

/** The same in JSON and in protobuf, but for ids and numbers, which are normalised below. */
interface WireSpan {
  readonly traceId: string | Buffer;
  readonly spanId: string | Buffer;
  readonly parentSpanId?: string | Buffer;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string | number;
  readonly endTimeUnixNano: string | number;
  readonly attributes?: KeyValues;
  readonly status?: { readonly code?: number; readonly message?: string } | null;
}

interface WireRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: KeyValues };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}

const TRACE_SERVICE = loadSync(path.resolve(import.meta.dirname, 'otlp.proto'), { longs: String, oneofs: false })[
  'opentelemetry.proto.collector.trace.v1.TraceService'
] as ServiceDefinition;

/** A collector of spans as operators run them, over OTLP/HTTP (JSON or protobuf) or OTLP/gRPC; keeps every byte that it was sent. */
export class Collector {
  readonly spans: CollectedSpan[] = [];
  readonly bodies: Buffer[] = [];
  readonly requests: IncomingMessage[] = [];
  /** As a test says. */
  answer: (response: ServerResponse) => void = (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  readonly #http = createServer((request, response) => void this.#take(request, response));
  #grpc: Server | undefined;

  /** The endpoint for all signals. */
  async start(port = 0): Promise<string> {
    this.#http.listen(port, '127.0.0.1');
    await once(this.#http, 'listening');
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  async startGrpc(): Promise<string> {
    const server = new Server();
    this.#grpc = server;
    server.addService(TRACE_SERVICE, {
      Export: (call: { request: WireRequest }, callback: (error: null, response: object) => void) => {
        this.#keep(call.request);
        callback(null, {});
      },
    });
    return new Promise((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(`http://127.0.0.1:${port}`),
      );
    });
  }

  stop(): void {
    this.#http.close();
    this.#http.closeAllConnections();
    this.#grpc?.forceShutdown();
  }

  /** Waits for a span, and gives the newest one. */
  async span(matches: (span: CollectedSpan) => boolean): Promise<CollectedSpan> {
    await expect.poll(() => this.spans.some(matches)).toBe(true);
    return this.spans.findLast(matches) as CollectedSpan;
  }

  /** The spans right below. */
  childrenOf({ spanId }: CollectedSpan): CollectedSpan[] {
    return this.spans.filter((span) => span.parentSpanId === spanId);
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests.push(request);
    const body = Buffer.concat(await request.toArray());
    this.bodies.push(body);
    const isJson = request.headers['content-type'] === 'application/json';
    this.#keep(isJson ? JSON.parse(body.toString()) : (TRACE_SERVICE.Export?.requestDeserialize(body) as WireRequest));
    this.answer(response);
  }

  #keep({ resourceSpans }: WireRequest): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const attributes = record(resource.attributes);
      for (const { spans } of scopeSpans) this.spans.push(...spans.map((span) => collected(span, attributes)));
    }
  }
}

function collected(span: WireSpan, resource: CollectedSpan['resource']): CollectedSpan {
  return {
    traceId: hex(span.traceId),
    spanId: hex(span.spanId),
    parentSpanId: hex(span.parentSpanId ?? ''),
    traceState: span.traceState ?? '',
    name: span.name,
    kind: span.kind,
    status: span.status?.code ?? 0,
    statusMessage: span.status?.message ?? '',
    startNanos: BigInt(span.startTimeUnixNano),
    endNanos: BigInt(span.endTimeUnixNano),
    attributes: record(span.attributes ?? []),
    resource,
  };
}

const hex = (id: string | Buffer) => (typeof id === 'string' ? id : id.toString('hex'));

function record(pairs: KeyValues): Record<string, unknown> {
  return Object.fromEntries(
    pairs.map(({ key, value }) => [key, value.intValue === undefined ? Object.values(value)[0] : Number(value.intValue)]),
  );
}
