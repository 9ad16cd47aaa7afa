import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { Client, credentials, type sendUnaryData, status } from '@grpc/grpc-js';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import type { Overrides } from '../../src/app/resources.ts';
import { GetCallerRequest } from '../../src/gen/identity/v1/auth_service.ts';
import { createServer, listen } from '../../src/rpc/server.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { frame } from '../support/raw-http2.ts';
import { startService, type TestService } from '../support/service.ts';

const running: TestService[] = [];
const sessions: ClientHttp2Session[] = [];
const databases: TestDatabase[] = [];

afterAll(async () => {
  for (const session of sessions) session.destroy();
  await Promise.all(running.map((service) => service.stop()));
  await Promise.all(databases.map((database) => database.drop()));
});

async function start(connections: Overrides['connections']): Promise<TestService> {
  databases[0] ??= await createDatabase();
  const service = await startService({}, databases[0], connections);
  running.push(service);
  return service;
}

function open({ address }: TestService): ClientHttp2Session {
  const session = connect(`http://${address}`);
  session.on('error', () => undefined);
  sessions.push(session);
  return session;
}

/** Begins a call, and leaves it to the test to send the request. */
function begin(session: ClientHttp2Session, { adminKey }: TestService): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/identity.v1.AuthService/GetCaller',
    'content-type': 'application/grpc',
    te: 'trailers',
    authorization: `Bearer ${adminKey}`,
  });
  stream.on('error', () => undefined);
  return stream.resume();
}

/** Sends the request of a call; the status that comes back. */
async function finish(stream: ClientHttp2Stream): Promise<unknown> {
  const trailers = once(stream, 'trailers');
  stream.end(frame(GetCallerRequest.encode({}).finish()));
  const [headers] = (await trailers) as [IncomingHttpHeaders];
  return headers['grpc-status'];
}

/** Whether or not with an error, which `once` of node:events would throw. */
const closed = (it: ClientHttp2Session | ClientHttp2Stream | Socket) => new Promise<void>((resolve) => it.once('close', resolve));

describe('the calls at once on one connection', () => {
  it('are 1000, and a client is told so', async () => {
    const [settings] = await once(open(await start({})), 'remoteSettings');
    expect(settings).toMatchObject({ maxConcurrentStreams: 1000 });
  });

  it('are refused beyond the limit from a client that does not care, and the others are answered', async () => {
    const service = await start({ maxStreams: 3 });
    const session = open(service);
    // All sent before the server could tell its limit.
    const streams = Array.from({ length: 10 }, () => begin(session, service));
    await Promise.all(streams.slice(3).map(closed));
    expect(streams.slice(3).map(({ rstCode }) => rstCode)).toEqual(Array(7).fill(constants.NGHTTP2_REFUSED_STREAM));
    expect(await Promise.all(streams.slice(0, 3).map(finish))).toEqual(['0', '0', '0']);
    expect(await finish(begin(session, service))).toBe('0');
  });

  it('wait for one another in a gRPC client, and none fails', async () => {
    const { auth } = await start({ maxStreams: 3 });
    await Promise.all(Array.from({ length: 50 }, () => auth.getCaller({})));
  });
});

describe('a connection that has reached its age', () => {
  it('is told to go; the call in flight is answered, then the connection ends', async () => {
    const service = await start({ maxAgeMs: 100, maxAgeGraceMs: 60_000 });
    const session = open(service);
    const stream = begin(session, service);
    const end = closed(session);
    const [code] = await once(session, 'goaway');
    expect(code).toBe(constants.NGHTTP2_NO_ERROR);
    expect(await finish(stream)).toBe('0');
    await end;
  });

  it('is ended after the grace, whatever is still in flight', async () => {
    const service = await start({ maxAgeMs: 100, maxAgeGraceMs: 100 });
    const session = open(service);
    const stream = begin(session, service);
    await Promise.all([once(session, 'goaway'), closed(session), closed(stream)]);
  });

  it('is replaced by a gRPC client without a failed call', async () => {
    const service = await start({ maxAgeMs: 50, maxAgeGraceMs: 10_000 });
    const accepted = connectionsOf(service);
    while (accepted.count < 20) await service.auth.getCaller({});
    accepted.stop();
  });
});

/** Counts the connections that a service accepts from here on. */
function connectionsOf({ app }: TestService) {
  const counter = { count: 0, stop: () => unsubscribe('net.server.socket', onSocket) };
  const onSocket = (message: unknown) => {
    if ((message as { socket: Socket }).socket.localPort === app.port) counter.count++;
  };
  subscribe('net.server.socket', onSocket);
  return counter;
}

describe('a server that drains', () => {
  const PATH = '/test.Slow/Wait';
  const asItIs = (bytes: Buffer) => bytes;
  const clients: Client[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });

  /** A server with a call in flight: what answers it, and its outcome. */
  async function withCallInFlight() {
    const server = createServer();
    const called = Promise.withResolvers<() => void>();
    const codec = { requestSerialize: asItIs, requestDeserialize: asItIs, responseSerialize: asItIs, responseDeserialize: asItIs };
    const answer = (_: unknown, callback: sendUnaryData<Buffer>) => called.resolve(() => callback(null, Buffer.of(1)));
    server.addService({ wait: { path: PATH, requestStream: false, responseStream: false, ...codec } }, { wait: answer });
    const { port, drain } = await listen(server, { host: '127.0.0.1', port: 0, tls: undefined });
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    clients.push(client);
    const outcome = new Promise((resolve) =>
      client.makeUnaryRequest(PATH, asItIs, asItIs, Buffer.alloc(0), (error, response) => resolve(error?.code ?? response)),
    );
    return { port, drain, outcome, answer: await called.promise };
  }

  it('answers the call in flight and takes no other one', async () => {
    const { port, drain, outcome, answer } = await withCallInFlight();
    const drained = drain(60_000);
    const [refused] = await once(connectTcp(port, '127.0.0.1'), 'error');
    expect(refused).toMatchObject({ code: 'ECONNREFUSED' });
    answer();
    expect(await outcome).toEqual(Buffer.of(1));
    expect(await drained).toBe(true);
  });

  it('ends a call that takes longer than it waits: UNAVAILABLE, so that clients try another server', async () => {
    const { drain, outcome } = await withCallInFlight();
    expect(await drain(100)).toBe(false);
    expect(await outcome).toBe(status.UNAVAILABLE);
  });
});

describe('a connection whose other end', () => {
  const KEEPALIVE = { keepaliveMs: 100, keepaliveTimeoutMs: 100 };

  it('answers no ping is closed', async () => {
    const { app } = await start(KEEPALIVE);
    const silent = connectTcp(app.port, '127.0.0.1');
    silent.on('error', () => undefined).resume();
    // The preface of HTTP/2 and an empty SETTINGS frame (RFC 9113 §3.4), and never another word.
    silent.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]));
    await closed(silent);
  });

  it('answers is kept, however long no call is made', async () => {
    const service = await start(KEEPALIVE);
    const session = open(service);
    const onPing = vi.fn();
    session.on('ping', onPing);
    await expect.poll(() => onPing.mock.calls.length).toBeGreaterThanOrEqual(5);
    expect(await finish(begin(session, service))).toBe('0');
  });
});
