import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ServerHttp2Stream } from 'node:http2';
import { Duplex } from 'node:stream';
import { Metadata } from '@grpc/grpc-js';
import type { Log } from '../observability/log.ts';
import { callInMemory, type GrpcCall } from './call-in-memory.ts';

/*
 * V8 puts a closure that is assigned to a property into the old generation at once, because most of those are methods. A writable stream of
 * Node makes one for itself (`onwrite`), which knows the stream; and a unary call has two such streams, one of HTTP/2 and the object that
 * grpc-js gives to its handler. So all that can be reached from these two stays until the next full collection, however long the
 * call is over: a fifth of what a call allocates, for which V8 collects late and lets the heap grow to four times of what is alive. The two
 * streams cannot be helped, what they hold can: it is taken from them, and what must be there is shared by all that are over. (Without this,
 * IntrospectToken fell from 0.70 to 0.47 of the throughput of echo.)
 *
 * None of this is public. So a call is looked at when the service starts: where Node or grpc-js build theirs otherwise, nothing is taken, the
 * garbage stays for longer, and the log says so.
 */

interface HiddenStream {
  _readableState?: unknown;
  _writableState: unknown;
  _events: unknown;
  _eventsCount: number;
}

interface HiddenCall extends HiddenStream {
  request: unknown;
  metadata: unknown;
  call: unknown;
  pendingStatus: unknown;
  trailingMetadata: unknown;
}

const OF_CALL = ['request', 'metadata', 'call', 'pendingStatus', 'trailingMetadata'] satisfies readonly (keyof HiddenCall)[];
const OF_STREAM = ['_writableState', '_events', '_eventsCount'] satisfies readonly (keyof HiddenStream)[];

/** Under which a stream of HTTP/2 keeps what it has sent. */
type SentKeys = Readonly<Record<'sentHeaders' | 'sentTrailers', symbol>>;

/** A stream that has ended: what still asks one of those that share its state is told so. */
const OVER = new Duplex().destroy() as unknown as HiddenStream;
const NO_BYTES = Buffer.alloc(0);
const NO_METADATA = new Metadata();

/** Undefined: nothing is taken from anything. */
let sentKeys: SentKeys | undefined;

/**
 * From now on, calls that are over and streams of HTTP/2 that are closed hold nothing any more, if they are built as this file knows them.
 * `look` shows it one.
 */
export async function releaseEndedCalls(log: Pick<Log, 'warn'>, look = callInMemory<SentKeys | readonly string[]>): Promise<void> {
  const found = (await look(examine)) ?? [CLOSED];
  unsubscribe(CLOSED, releaseSoon);
  sentKeys = 'sentHeaders' in found ? found : undefined;
  if (sentKeys) subscribe(CLOSED, releaseSoon);
  else log.warn('ended calls are not released: Node.js or grpc-js is built otherwise; the heap grows larger', { missing: found });
}

/** The keys of what a stream has sent, if it and the call have all that is taken from them; otherwise what is missing. */
function examine(call: GrpcCall, stream: ServerHttp2Stream): SentKeys | readonly string[] {
  const sentHeaders = keyOf(stream, stream.sentHeaders);
  const sentTrailers = keyOf(stream, stream.sentTrailers);
  const missing = [
    ...[...OF_CALL, ...OF_STREAM].filter((name) => !isWritable(call, name)).map((name) => `ServerUnaryCall.${name}`),
    ...['_readableState', ...OF_STREAM].filter((name) => !isWritable(stream, name)).map((name) => `Http2Stream.${name}`),
    ...(sentHeaders ? [] : ['Http2Stream.sentHeaders']),
    ...(sentTrailers ? [] : ['Http2Stream.sentTrailers']),
  ];
  return missing.length === 0 && sentHeaders && sentTrailers ? { sentHeaders, sentTrailers } : missing;
}

function isWritable(object: object, name: string): boolean {
  return Object.getOwnPropertyDescriptor(object, name)?.writable === true;
}

function keyOf(stream: ServerHttp2Stream, sent: unknown): symbol | undefined {
  if (sent === undefined) return undefined;
  const values = stream as unknown as Readonly<Record<symbol, unknown>>;
  return Object.getOwnPropertySymbols(stream).find((symbol) => values[symbol] === sent);
}

/** Takes from a call that is over what it holds on to: the request, the headers, and what grpc-js knows about it. */
export function releaseCall(grpcCall: GrpcCall): void {
  if (!sentKeys) return;
  const hidden = grpcCall as unknown as HiddenCall;
  hidden.request = NO_BYTES;
  hidden.metadata = NO_METADATA;
  hidden.call = undefined;
  hidden.pendingStatus = undefined;
  hidden.trailingMetadata = undefined;
  hidden._writableState = OVER._writableState;
  forgetListeners(hidden);
}

const CLOSED = 'http2.server.stream.close';

let closed: ServerHttp2Stream[] = [];

/** Releases it after this turn of the event loop, in which those who wait for the stream to be closed are told. */
function releaseSoon(message: unknown): void {
  const { stream } = message as { readonly stream: ServerHttp2Stream };
  if (closed.push(stream) === 1) setImmediate(releaseClosed);
}

function releaseClosed(): void {
  const streams = closed;
  closed = [];
  if (!sentKeys) return;
  for (const stream of streams) {
    // One that still has something to write is left to V8.
    if (stream.destroyed) release(stream, sentKeys);
  }
}

function release(stream: ServerHttp2Stream, { sentHeaders, sentTrailers }: SentKeys): void {
  const values = stream as unknown as Record<symbol, unknown>;
  if (values[sentHeaders] !== undefined) values[sentHeaders] = undefined;
  if (values[sentTrailers] !== undefined) values[sentTrailers] = undefined;
  const hidden = stream as unknown as HiddenStream;
  hidden._readableState = OVER._readableState;
  hidden._writableState = OVER._writableState;
  forgetListeners(hidden);
}

/** Makes it an emitter that nobody has listened to yet. */
function forgetListeners(hidden: HiddenStream): void {
  hidden._events = undefined;
  hidden._eventsCount = 0;
}
