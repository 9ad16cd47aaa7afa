import { once } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ServerUnaryCall } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { register } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { useService } from '../support/service.ts';

const GET_USER = '/identity.v1.UserService/GetUser';

type GrpcCall = ServerUnaryCall<Buffer, Buffer>;
type Stateful = Readonly<Record<'_readableState' | '_writableState', object>>;
type Handler = { func: (call: GrpcCall, callback: unknown) => void };

const service = useService();

/** What Node and grpc-js keep of a call in closures that only a full collection finds dead (src/rpc/ended-calls.ts). */
interface Kept {
  readonly streams: unknown[];
  readonly rest: Map<string, WeakRef<object>>;
}

let kept: Kept;
let closed: Promise<unknown>;

/** Takes the place of those closures: holds the streams of the next call, and watches what else belongs to it. */
function keepStreamsOfNextCall(): void {
  const server = service.app.server as unknown as { readonly handlers: ReadonlyMap<string, Handler> };
  const handler = server.handlers.get(GET_USER) as Handler;
  const { func } = handler;
  handler.func = (grpcCall, callback) => {
    handler.func = func;
    const { call } = grpcCall as unknown as { readonly call: { readonly listener: object; readonly stream: ServerHttp2Stream & Stateful } };
    const { stream } = call;
    kept = {
      streams: [grpcCall, stream],
      rest: new Map<string, WeakRef<object>>([
        ['request', new WeakRef(grpcCall.request)],
        ['metadata', new WeakRef(grpcCall.metadata)],
        ['call of grpc-js', new WeakRef(call)],
        ['listener of the handler', new WeakRef(call.listener)],
        ['callback', new WeakRef(callback as object)],
        ['state of the call', new WeakRef((grpcCall as unknown as Stateful)._writableState)],
        ['what reads the stream', new WeakRef(stream._readableState)],
        ['what writes the stream', new WeakRef(stream._writableState)],
      ]),
    };
    closed = once(stream, 'close').then(() => {
      for (const sent of ['sentHeaders', 'sentTrailers'] as const) kept.rest.set(sent, new WeakRef(stream[sent] ?? {}));
    });
    func(grpcCall, callback);
  };
}

describe('a unary call that is over', () => {
  let collect: () => void;
  beforeAll(() => {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  });
  afterAll(() => setFlagsFromString('--no-expose-gc'));

  const alive = () => [...kept.rest].filter(([, ref]) => ref.deref() !== undefined).map(([name]) => name);

  it.each([
    ['was answered', async () => void (await service.users.getUser({ userId: (await register(service)).id }))],
    ['failed', () => expectStatus(service.users.getUser({ userId: 'none' }), 'INVALID_ARGUMENT', 'INVALID_FIELDS')],
  ])('is not held by its streams: one that %s', async (_, call) => {
    keepStreamsOfNextCall();
    await call();
    await closed;
    // What is dereferenced or waited for in a turn of the event loop stays for that turn.
    await new Promise(setImmediate);
    collect();
    expect(alive()).toEqual([]);
    expect(kept.streams).toHaveLength(2);
  });
});
