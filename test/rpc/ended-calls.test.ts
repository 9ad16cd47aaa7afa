import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { ServerHttp2Stream } from 'node:http2';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ServerUnaryCall } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { callInMemory } from '../../src/rpc/call-in-memory.ts';
import { releaseEndedCalls } from '../../src/rpc/ended-calls.ts';
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

let collect: () => void;
beforeAll(() => {
  setFlagsFromString('--expose-gc');
  collect = runInNewContext('gc') as () => void;
});
afterAll(() => setFlagsFromString('--no-expose-gc'));

/** What of a call is alive when it is over. */
async function aliveAfter(call: () => Promise<unknown>): Promise<string[]> {
  keepStreamsOfNextCall();
  await call();
  await closed;
  // What is dereferenced or waited for in a turn of the event loop stays for that turn.
  await new Promise(setImmediate);
  collect();
  expect(kept.streams).toHaveLength(2);
  return [...kept.rest].filter(([, ref]) => ref.deref() !== undefined).map(([name]) => name);
}

const getUser = async () => void (await service.users.getUser({ userId: (await register(service)).id }));

describe('a unary call that is over', () => {
  it.each([
    ['was answered', getUser],
    ['failed', () => expectStatus(service.users.getUser({ userId: 'none' }), 'INVALID_ARGUMENT', 'INVALID_FIELDS')],
  ])('is not held by its streams: one that %s', async (_, call) => {
    expect(await aliveAfter(call)).toEqual([]);
  });
});

describe('what is taken from a call that is over', () => {
  const warn = vi.fn();
  /** Calls are built otherwise than they are: in their own way, and really. */
  const releaseIfBuilt = (otherwise: (call: object, stream: object) => void) =>
    releaseEndedCalls({ warn }, (examine) =>
      callInMemory((call, stream) => {
        otherwise(call, stream);
        return examine(call, stream);
      }),
    );

  afterEach(async () => {
    warn.mockClear();
    await releaseEndedCalls({ warn });
    expect(warn).not.toHaveBeenCalled();
    expect(await aliveAfter(getUser)).toEqual([]);
  });

  it.each<[string, (call: object, stream: object) => void, string[]]>([
    ['grpc-js has another name for its call', (call) => Reflect.deleteProperty(call, 'call'), ['ServerUnaryCall.call']],
    ['grpc-js keeps the metadata', (call) => Object.defineProperty(call, 'metadata', { writable: false }), ['ServerUnaryCall.metadata']],
    [
      'Node keeps the state of a stream',
      (call, stream) => {
        for (const it of [call, stream]) Object.defineProperty(it, '_writableState', { writable: false });
      },
      ['ServerUnaryCall._writableState', 'Http2Stream._writableState'],
    ],
    [
      'Node does not keep what was sent',
      (_, stream) => Object.defineProperty(stream, 'sentTrailers', { value: undefined }),
      ['Http2Stream.sentTrailers'],
    ],
  ])('is nothing where %s: the log says so once, and calls are answered', async (_, otherwise, missing) => {
    await releaseIfBuilt(otherwise);
    expect(warn.mock.calls).toEqual([[expect.stringContaining('ended calls are not released'), { missing }]]);
    expect(await aliveAfter(getUser)).toContain('request');
    await expectStatus(service.users.getUser({ userId: 'none' }), 'INVALID_ARGUMENT', 'INVALID_FIELDS');
  });

  it('is nothing where Node does not tell that a stream was closed', async () => {
    await releaseEndedCalls({ warn }, async () => undefined);
    expect(warn.mock.calls).toEqual([[expect.any(String), { missing: ['http2.server.stream.close'] }]]);
    await getUser();
  });

  it('was looked up in these versions: whoever changes one runs the bench (introspect, memory)', () => {
    const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: Record<string, string> };
    expect([process.versions.node, dependencies['@grpc/grpc-js']]).toEqual(['26.9.0', '1.14.7']);
  });
});
