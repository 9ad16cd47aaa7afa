import { once } from 'node:events';
import type { handleBidiStreamingCall, MethodDefinition, ServerDuplexStream } from '@grpc/grpc-js';
import type { Access } from '../call/authorize.ts';
import { type Call, idOfCaller } from '../call/call.ts';
import { IdentityError, rateLimited } from '../call/errors.ts';
import type { Awaitable } from '../concurrency/awaitable.ts';
import { admit, recognise } from './admit.ts';
import { CallEnd } from './call-end.ts';
import { OpenCall } from './open-call.ts';
import type { Runtime } from './runtime.ts';
import { decode, fail, observe, type Rpc } from './unary.ts';

/** In which the next request has to come. A caller with nothing to send ends the stream, and begins another one later. */
export const MAX_IDLE_MS = 60_000;
/** The number of such streams that one caller may have here at the same time: each takes some 100 kB. */
const MAX_STREAMS = 100;

const idleTooLong = () =>
  new IdentityError({ code: 'DEADLINE_EXCEEDED', reason: 'CALL_DEADLINE_EXCEEDED', message: 'no request came for a minute' });

/** The wiring of one RPC with many requests and many answers. */
export interface StreamRpc<Request, Response> {
  readonly stream: (call: Call, requests: AsyncIterable<Request>) => AsyncIterable<Response>;
}

export function isStreamRpc<Request, Response>(
  rpc: Rpc<Request, Response> | StreamRpc<Request, Response>,
): rpc is StreamRpc<Request, Response> {
  return 'stream' in rpc;
}

export interface StreamEndpoint<Request, Response> {
  readonly method: MethodDefinition<Request, Response>;
  readonly access: Access;
  readonly rpc: StreamRpc<Request, Response>;
}

type Stream = ServerDuplexStream<Buffer, Buffer>;

/**
 * Lets grpc-js call an RPC that is an async generator; in everything else as for one request (see unary.ts), but there is no deadline other
 * than the caller's.
 *
 * Nothing piles up: a request is taken from the connection only when the RPC asks for it, and the RPC goes on only when its answers leave.
 * So HTTP/2 holds up whoever sends faster than we work, or does not read.
 */
export function streamHandler<Request, Response>(
  endpoint: StreamEndpoint<Request, Response>,
  runtime: Runtime,
): handleBidiStreamingCall<Buffer, Buffer> {
  const open = new OpenStreams();
  return (stream) => {
    const end = new CallEnd(stream);
    const call = new OpenCall(stream, end, endpoint.access, runtime);
    serve(endpoint, runtime, call, stream, open).then(
      () => {
        end.disarm();
        observe(runtime, call, stream);
        stream.end();
      },
      (error: unknown) => {
        end.disarm();
        // grpc-js takes the status from here; what was answered before is sent first.
        fail(error, stream, call, end.deadlinePassed(), runtime, (status) => stream.emit('error', status));
      },
    );
  };
}

/** The caller is recognised before the first request is looked at. */
async function serve<Request, Response>(
  endpoint: StreamEndpoint<Request, Response>,
  runtime: Runtime,
  call: OpenCall,
  stream: Stream,
  open: OpenStreams,
): Promise<void> {
  const { method, access, rpc } = endpoint;
  await admit(access, runtime, call, stream, () => undefined);
  using _open = open.begin(idOfCaller(call.caller));
  const recogniseAnew = () => recognise(access, runtime, call, stream, () => undefined);
  try {
    for await (const response of rpc.stream(call, requestsOf(method, stream, recogniseAnew))) {
      await send(stream, method.responseSerialize(response), call.signal);
    }
  } catch (error) {
    if (error instanceof IdentityError && error.code === 'PERMISSION_DENIED') runtime.refused(call, stream.getPath(), error);
    throw error;
  }
}

async function* requestsOf<Request, Response>(
  method: MethodDefinition<Request, Response>,
  stream: Stream,
  recogniseAnew: () => Awaitable<void>,
): AsyncGenerator<Request, void, undefined> {
  // Not destroyed where the RPC stops reading: its status has still to be sent.
  for await (const bytes of notIdle(stream.iterator({ destroyOnReturn: false }), MAX_IDLE_MS)) {
    // A stream may last for hours. This costs next to nothing where the caller is remembered (see callers/), and a right that was taken away is gone.
    await recogniseAnew();
    yield decode(method, bytes as Buffer);
  }
}

/** The same; throws where the next one takes too long. One timer serves for all of them. */
export async function* notIdle<T>(all: AsyncIterable<T>, maxMs: number): AsyncGenerator<T, void, undefined> {
  const iterator = all[Symbol.asyncIterator]();
  let fail: ((error: unknown) => void) | undefined;
  const timer = setTimeout(() => fail?.(idleTooLong()), maxMs).unref();
  try {
    while (true) {
      const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<T>>();
      fail = reject;
      timer.refresh();
      iterator.next().then(resolve, reject);
      const { done, value } = await promise;
      fail = undefined;
      if (done) return;
      yield value;
    }
  } finally {
    clearTimeout(timer);
    // Not waited for: it would wait for the request that did not come.
    void iterator.return?.();
  }
}

/** The streams that are open here, by caller. */
export class OpenStreams {
  readonly #byCaller = new Map<string, number>();

  /** Throws where they have too many. */
  begin(caller: string): Disposable {
    const before = this.#byCaller.get(caller) ?? 0;
    if (before >= MAX_STREAMS) throw rateLimited(1);
    this.#byCaller.set(caller, before + 1);
    return { [Symbol.dispose]: () => this.#end(caller) };
  }

  #end(caller: string): void {
    const left = (this.#byCaller.get(caller) ?? 0) - 1;
    if (left > 0) this.#byCaller.set(caller, left);
    else this.#byCaller.delete(caller);
  }
}

/** Waits until the connection has room for more. */
export async function send(stream: Stream, bytes: Buffer, signal: AbortSignal): Promise<void> {
  if (!stream.write(bytes)) await once(stream, 'drain', { signal });
}
