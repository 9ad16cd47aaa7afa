import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { Metadata, type ServerInterceptingCall, type ServerInterceptingCallInterface, type ServerInterceptor } from '@grpc/grpc-js';
import { IdentityError } from '../call/errors.ts';
import { requestIdOf } from './request-id.ts';
import { toGrpcStatus } from './status.ts';
import { MAX_REQUEST_BYTES, requestTooLarge } from './transport-errors.ts';

/** It tells each stream of HTTP/2, together with its headers, before grpc-js sees it. */
const STARTED = 'http2.server.stream.start';
const SWEEP_MS = 500;

export interface HalfSentLimits {
  /** In which a message has to arrive, from the headers of the call or from its own first byte. */
  readonly maxMs: number;
  /** The number of calls whose message is on its way. */
  readonly maxCalls: number;
  /** The bytes of all such messages that have arrived. */
  readonly maxBytes: number;
}

export const HALF_SENT_LIMITS: HalfSentLimits = { maxMs: 10_000, maxCalls: 2000, maxBytes: 16 * 1024 * 1024 };

const tooSlow = () =>
  new IdentityError({ code: 'DEADLINE_EXCEEDED', reason: 'CALL_DEADLINE_EXCEEDED', message: 'the request did not arrive in time' });

const tooMany = () =>
  new IdentityError({
    code: 'RESOURCE_EXHAUSTED',
    reason: 'OVERLOADED',
    message: 'too many requests are on their way',
    details: { retryAfterSeconds: 1 },
  });

/** A call whose request is on its way. */
interface HalfSent {
  readonly message: IncomingMessage;
  readonly isStream: boolean;
  readonly headers: IncomingHttpHeaders;
  bytes: number;
  since: number;
  /** By which grpc-js is told to answer; absent until it has seen the call. */
  call?: Pick<ServerInterceptingCallInterface, 'sendStatus'> | undefined;
  /** It was refused. The rest of what it sends is thrown away. */
  refused: boolean;
}

/** The one that grpc-js makes its call of, right now: what follows happens before anything else does. */
let arriving: HalfSent | undefined;

/** Remembers the call of a stream, through which it can be answered. */
export const rememberCall: ServerInterceptor = (_, call) => {
  if (arriving) arriving.call = call;
  arriving = undefined;
  return call as ServerInterceptingCall;
};

/**
 * Bounds what callers can leave half sent before anybody knows who they are: its length, how long it takes, how many there are, and the bytes
 * of all together. A request of an honest caller is here within milliseconds. So, where there are too many, the oldest go:
 * RESOURCE_EXHAUSTED, with RetryInfo.
 *
 * grpc-js has no such limits, and keeps what has arrived until the connection ends.
 */
export class HalfSentRequests {
  readonly #port: number;
  readonly #limits: HalfSentLimits;
  readonly #requestStreams: ReadonlySet<string>;
  /** The oldest first. */
  readonly #halfSent = new Map<ServerHttp2Stream, HalfSent>();
  readonly #sweep: NodeJS.Timeout;
  #bytes = 0;

  /** `requestStreams` are the paths of the RPCs with many requests, whose callers are known before the first one is read. */
  constructor(port: number, limits: HalfSentLimits, requestStreams: ReadonlySet<string>) {
    this.#port = port;
    this.#limits = limits;
    this.#requestStreams = requestStreams;
    this.#sweep = setInterval(() => this.#endSlow(), SWEEP_MS).unref();
    subscribe(STARTED, this.#onStarted);
  }

  stop(): void {
    clearInterval(this.#sweep);
    unsubscribe(STARTED, this.#onStarted);
  }

  readonly #onStarted = (started: unknown): void => {
    const { stream, headers } = started as { readonly stream: ServerHttp2Stream; readonly headers: IncomingHttpHeaders };
    if (stream.session?.socket.localPort !== this.#port) return;
    const isStream = this.#requestStreams.has(headers[':path'] ?? '');
    const halfSent: HalfSent = { message: new IncomingMessage(), isStream, headers, bytes: 0, since: performance.now(), refused: false };
    if (!isStream) this.#add(stream, halfSent);
    const forget = () => this.#forget(stream);
    stream.once('end', forget).once('close', forget);
    // Listened to together with grpc-js, which begins to read when it likes: alone, this would take the first bytes from it.
    const listen = (event: string | symbol) => {
      if (event !== 'data') return;
      stream.off('newListener', listen);
      stream.on('data', (chunk: Buffer) => this.#onData(stream, halfSent, chunk));
      arriving = halfSent;
    };
    stream.on('newListener', listen);
  };

  #onData(stream: ServerHttp2Stream, halfSent: HalfSent, chunk: Buffer): void {
    const { message, isStream } = halfSent;
    if (halfSent.refused) return;
    message.take(chunk);
    // A call with a single message begins only when the caller has ended it.
    if (isStream && message.isComplete) {
      this.#forget(stream);
      return;
    }
    if (!isStream && message.length > MAX_REQUEST_BYTES) {
      // Not ended yet: HTTP/2 ends a connection on which much comes for streams that are no more.
      this.#refuse(stream, halfSent, requestTooLarge());
      return;
    }
    if (!this.#halfSent.has(stream)) {
      halfSent.since = performance.now();
      this.#add(stream, halfSent);
    }
    halfSent.bytes += chunk.length;
    this.#bytes += chunk.length;
    this.#endOldest(() => this.#bytes > this.#limits.maxBytes);
  }

  #add(stream: ServerHttp2Stream, halfSent: HalfSent): void {
    this.#halfSent.set(stream, halfSent);
    this.#endOldest(() => this.#halfSent.size > this.#limits.maxCalls);
  }

  #forget(stream: ServerHttp2Stream): void {
    const halfSent = this.#halfSent.get(stream);
    if (!halfSent) return;
    this.#halfSent.delete(stream);
    this.#bytes -= halfSent.bytes;
    halfSent.bytes = 0;
  }

  #endOldest(whileTooMany: () => boolean): void {
    for (const [stream, halfSent] of this.#halfSent) {
      if (!whileTooMany()) return;
      this.#end(stream, halfSent, tooMany());
    }
  }

  #endSlow(): void {
    const now = performance.now();
    for (const [stream, halfSent] of this.#halfSent) {
      // It is not being read: an import, for one, that is stored more slowly than it is sent.
      if (halfSent.isStream && !halfSent.refused && stream.isPaused()) halfSent.since = now;
      else if (now - halfSent.since > this.#limits.maxMs) this.#end(stream, halfSent, tooSlow());
    }
  }

  #end(stream: ServerHttp2Stream, halfSent: HalfSent, error: IdentityError): void {
    // A stream whose first answers are out is ended by grpc-js, after them; and by this where it was refused long ago.
    const endsLater = stream.headersSent && !halfSent.refused;
    this.#refuse(stream, halfSent, error);
    if (endsLater) return;
    this.#forget(stream);
    // Once the answer is out: the rest of the request is not wanted (RFC 9113 §8.1).
    setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
  }

  #refuse(stream: ServerHttp2Stream, halfSent: HalfSent, error: IdentityError): void {
    if (halfSent.refused) return;
    halfSent.refused = true;
    halfSent.since = performance.now();
    this.#bytes -= halfSent.bytes;
    halfSent.bytes = 0;
    if (halfSent.call) halfSent.call.sendStatus(toGrpcStatus(error, requestIdOf(Metadata.fromHttp2Headers(halfSent.headers))));
    else stream.close(constants.NGHTTP2_CANCEL);
  }
}

const PREFIX = 5;

/** A message as gRPC frames it: a flag, four bytes of length, and as many as these say. Then the next one begins. */
class IncomingMessage {
  readonly #prefix = Buffer.alloc(PREFIX);
  #prefixBytes = 0;
  #left = 0;
  /** Of the latest that has begun. */
  length = 0;

  /** True between two messages. */
  get isComplete(): boolean {
    return this.#prefixBytes === 0 && this.#left === 0;
  }

  take(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const taken = this.#left > 0 ? Math.min(this.#left, chunk.length - at) : chunk.copy(this.#prefix, this.#prefixBytes, at);
      at += taken;
      if (this.#left > 0) this.#left -= taken;
      else this.#takePrefix(taken);
    }
  }

  #takePrefix(taken: number): void {
    this.#prefixBytes += taken;
    if (this.#prefixBytes < PREFIX) return;
    this.length = this.#prefix.readUInt32BE(1);
    this.#left = this.length;
    this.#prefixBytes = 0;
  }
}
