import { once } from 'node:events';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { Overrides } from '../../src/app/resources.ts';
import { ImportUsersRequest } from '../../src/gen/identity/v1/user_service.ts';
import { HALF_SENT_LIMITS } from '../../src/rpc/half-sent.ts';
import { notIdle } from '../../src/rpc/stream.ts';
import { newEmail } from '../support/builders.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { complete, newRow } from '../support/import-users.ts';
import { connectRaw, frame, type RawClient } from '../support/raw-http2.ts';
import { startService, type TestService } from '../support/service.ts';

const GET_CALLER = '/identity.v1.AuthService/GetCaller';
const IMPORT = '/identity.v1.UserService/ImportUsers';
const MAX_MS = 300;
const MESSAGE = frame(Buffer.alloc(0));
/** The beginning of a message of 200 kB. */
const half = (bytes: number) => frame(Buffer.alloc(bytes), { length: 200_000 });

const running: TestService[] = [];
const databases: TestDatabase[] = [];
const clients: RawClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await Promise.all(running.splice(0).map((service) => service.stop()));
});
afterAll(() => Promise.all(databases.map((database) => database.drop())));

async function start(limits: Partial<typeof HALF_SENT_LIMITS> = {}) {
  databases[0] ??= await createDatabase();
  const connections: Overrides['connections'] = { halfSent: { ...HALF_SENT_LIMITS, ...limits } };
  const service = await startService({}, databases[0], connections);
  running.push(service);
  const raw = connectRaw(service.address);
  clients.push(raw);
  return { service, raw, headers: { authorization: `Bearer ${service.adminKey}` } };
}

const LATE = { code: 'DEADLINE_EXCEEDED', reason: 'CALL_DEADLINE_EXCEEDED', domain: 'identity.v1' };
const TOO_MANY = { code: 'RESOURCE_EXHAUSTED', reason: 'OVERLOADED', retryAfterSeconds: 1 };
const TOO_LARGE = { code: 'INVALID_ARGUMENT', reason: 'MESSAGE_TOO_LARGE' };

describe('a request that is not complete in time', () => {
  it.each([
    ['nothing but headers', Buffer.alloc(0)],
    ['a part of its length', MESSAGE.subarray(0, 3)],
    ['its length', half(0)],
    ['all of the message but a byte', half(199_999)],
    ['the message, and never the end', MESSAGE],
  ])('ends the call, whoever makes it: %s', async (_, bytes) => {
    const { raw } = await start({ maxMs: MAX_MS });
    const begun = performance.now();
    const { stream, outcome } = raw.open(GET_CALLER, { 'x-request-id': 'slow' });
    stream.write(bytes);
    expect(await outcome).toMatchObject({ ...LATE, requestId: 'slow' });
    expect(performance.now() - begun).toBeGreaterThan(MAX_MS);
  });

  it('is given 10 seconds, and 16 MiB together with all others', () => {
    expect(HALF_SENT_LIMITS).toEqual({ maxMs: 10_000, maxCalls: 2000, maxBytes: 16 << 20 });
  });

  it('leaves the other calls of the connection alone', async () => {
    const { raw, headers } = await start({ maxMs: MAX_MS });
    const slow = raw.open(GET_CALLER, headers);
    slow.stream.write(half(10));
    await slow.outcome;
    expect(await raw.call(GET_CALLER, MESSAGE, headers)).toEqual({ code: 'OK' });
  });

  it('may be sent in small pieces', async () => {
    const { raw, headers } = await start();
    const { stream, outcome } = raw.open(GET_CALLER, headers);
    // Of a field that no version knows.
    const content = Buffer.concat([Buffer.from([0xfa, 0x07, 100]), Buffer.alloc(100, 'x')]);
    for (const byte of frame(content)) {
      stream.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    stream.end();
    expect(await outcome).toEqual({ code: 'OK' });
  });
});

describe('a request that is too large by its own account', () => {
  it.each([256 * 1024 + 1, 4 << 20, 0xffffffff])(
    'is refused before it is there, and before anybody knows who makes it: %i',
    async (length) => {
      const { raw, headers } = await start();
      const { stream, outcome } = raw.open(GET_CALLER);
      stream.write(frame(Buffer.alloc(100), { length }));
      await once(stream, 'response');
      stream.end();
      expect(await outcome).toMatchObject(TOO_LARGE);
      expect(await raw.call(GET_CALLER, MESSAGE, headers)).toEqual({ code: 'OK' });
    },
  );

  it('is let go where its caller does not end it', async () => {
    const { raw } = await start({ maxMs: MAX_MS });
    const { stream, outcome } = raw.open(GET_CALLER);
    stream.write(frame(Buffer.alloc(100), { length: 1 << 20 }));
    expect(await outcome).toMatchObject(TOO_LARGE);
  });
});

describe('more requests on their way than there may be', () => {
  it('cost the oldest', async () => {
    const { raw, headers } = await start({ maxCalls: 3 });
    const calls = Array.from({ length: 5 }, () => raw.open(GET_CALLER, headers));
    for (const { stream } of calls) stream.write(MESSAGE.subarray(0, 1));
    const outcomes = await Promise.all(calls.slice(0, 2).map(({ outcome }) => outcome));
    for (const outcome of outcomes) expect(outcome).toMatchObject(TOO_MANY);
    for (const { stream } of calls.slice(2)) stream.end(MESSAGE.subarray(1));
    expect(await Promise.all(calls.slice(2).map(({ outcome }) => outcome))).toEqual(Array(3).fill({ code: 'OK' }));
  });

  it('cost the oldest, too, where it is their bytes; what is complete does not count', async () => {
    const { raw, headers } = await start({ maxBytes: 250_000 });
    for (let call = 0; call < 5; call++) {
      const large = frame(Buffer.concat([Buffer.from([0xfa, 0x07, 0xf0, 0x93, 0x09]), Buffer.alloc(150_000, 'x')]));
      expect(await raw.call(GET_CALLER, large, headers)).toMatchObject({ code: 'OK' });
    }
    const calls = Array.from({ length: 2 }, () => raw.open(GET_CALLER));
    for (const { stream } of calls) stream.write(half(150_000));
    expect(await calls[0]?.outcome).toMatchObject(TOO_MANY);
    calls[1]?.stream.end();
    expect(await calls[1]?.outcome).toMatchObject({ code: expect.not.stringMatching('RESOURCE_EXHAUSTED') });
  });
});

describe('a stream of requests', () => {
  it('may wait between its requests, and not within one', async () => {
    const { service, raw, headers } = await start({ maxMs: MAX_MS });
    const { stream, outcome } = raw.open(IMPORT, headers);
    const email = newEmail();
    const bytes = encodedRow(email);
    await new Promise((resolve) => setTimeout(resolve, 4 * MAX_MS));
    stream.write(bytes);
    await once(stream, 'data');
    await new Promise((resolve) => setTimeout(resolve, 4 * MAX_MS));
    expect(stream.closed).toBe(false);
    stream.write(encodedRow(newEmail()).subarray(0, 20));
    expect(await outcome).toMatchObject(LATE);
    expect((await service.users.lookupUser({ email })).user?.email).toBe(email);
  });

  it('is one of a hundred that a caller may have at the same time', async () => {
    const { raw, headers } = await start();
    const calls = Array.from({ length: 100 }, () => raw.open(IMPORT, headers));
    for (const { stream } of calls) stream.write(encodedRow(newEmail()));
    await Promise.all(calls.map(({ stream }) => once(stream, 'data')));
    expect(await raw.call(IMPORT, Buffer.alloc(0), headers)).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'RATE_LIMITED' });
    for (const { stream } of calls) stream.end();
    expect(await Promise.all(calls.map(({ outcome }) => outcome))).toEqual(Array(100).fill({ code: 'OK' }));
    expect(await raw.call(IMPORT, Buffer.alloc(0), headers)).toEqual({ code: 'OK' });
  });

  it('ends where no request comes for too long', async () => {
    const taken: number[] = [];
    async function* numbers() {
      yield 1;
      yield 2;
      await new Promise(() => undefined);
    }
    const reading = async () => {
      for await (const number of notIdle(numbers(), 100)) taken.push(number);
    };
    await expect(reading()).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'CALL_DEADLINE_EXCEEDED' });
    expect(taken).toEqual([1, 2]);
  });
});

function encodedRow(email: string): Buffer {
  return frame(ImportUsersRequest.encode(complete(newRow({ email }))).finish());
}
