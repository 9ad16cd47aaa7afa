import { randomUUID } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CreateUserRequest, GetUserRequest, ListUsersRequest } from '../../src/gen/identity/v1/user_service.ts';
import { newEmail, register, signedIn } from '../support/builders.ts';
import { expectInvalid, expectStatus, failureOf } from '../support/expect-status.ts';
import { untilNoMailIsPending } from '../support/mailbox.ts';
import { connectRaw, frame, type RawClient } from '../support/raw-http2.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';
import { statementsWithRecognitionOf } from '../support/statements.ts';

const service = useService();
let raw: RawClient;
beforeAll(() => {
  raw = connectRaw(service.address);
});
afterAll(() => raw.close());

/** As the administrator, where the headers say nothing else. */
const call = (path: string, body: Uint8Array, headers: OutgoingHttpHeaders = {}) =>
  raw.call(path, body, { authorization: `Bearer ${service.adminKey}`, ...headers });

const GET_USER = '/identity.v1.UserService/GetUser';
const CREATE_USER = '/identity.v1.UserService/CreateUser';
const LIST_USERS = '/identity.v1.UserService/ListUsers';

/** A request that is fine: the answer to it is NOT_FOUND. */
const good = GetUserRequest.encode({ userId: randomUUID() }).finish();
const createUser = (email: string) =>
  CreateUserRequest.encode({ email, password: undefined, username: undefined, profile: undefined, requestId: '' }).finish();

const MALFORMED = { code: 'INVALID_ARGUMENT', reason: 'MALFORMED_MESSAGE', domain: 'identity.v1' };
const TOO_LARGE = { ...MALFORMED, reason: 'MESSAGE_TOO_LARGE' };
const INVALID = { ...MALFORMED, reason: 'INVALID_FIELDS' };
const NOT_FOUND = { ...MALFORMED, code: 'NOT_FOUND', reason: 'USER_NOT_FOUND' };

const UNAUTHENTICATED = { ...MALFORMED, code: 'UNAUTHENTICATED', reason: 'CALLER_UNAUTHENTICATED' };

const gzip = { 'grpc-encoding': 'gzip' };

describe('a request that no client library would send', () => {
  it.each([
    ['random bytes', frame(Buffer.alloc(30, 0xff)), {}],
    ['a message that ends in the middle of a field', frame(good.subarray(0, 10)), {}],
    ['a call that ends in the middle of a message', frame(good, { length: 100 }), {}],
    ['a call without a message', Buffer.alloc(0), {}],
    ['a call with two messages', Buffer.concat([frame(good), frame(good)]), {}],
    ['something compressed that is not', frame(Buffer.from('garbage'), { compressed: true }), gzip],
    ['something compressed that breaks off', frame(gzipSync(good).subarray(0, 15), { compressed: true }), gzip],
    ['something compressed in a way that no header tells', frame(gzipSync(good), { compressed: true }), {}],
    ['groups nested 200,000 deep', frame(Buffer.alloc(200_000, 0x1b)), {}],
    ['a timeout that is none', frame(good), { 'grpc-timeout': 'soon' }],
    ['a timeout without a unit', frame(good), { 'grpc-timeout': '10' }],
  ])('is refused as malformed: %s', async (_, body, headers) => {
    expect(await call(GET_USER, body, headers)).toMatchObject(MALFORMED);
  });

  it.each([
    ['300 KiB', frame(Buffer.alloc(300 * 1024)), {}],
    ['5 MiB', frame(Buffer.alloc(5 << 20)), {}],
    ['1 MiB once decompressed', frame(gzipSync(Buffer.alloc(1 << 20)), { compressed: true }), gzip],
    ['64 MiB once decompressed', frame(gzipSync(Buffer.alloc(64 << 20)), { compressed: true }), gzip],
    ['4 GiB by its own account', frame(good, { length: 0xffffffff }), {}],
  ])('is refused as too large: %s', async (_, body, headers) => {
    expect(await call(GET_USER, body, headers)).toMatchObject(TOO_LARGE);
  });

  it.each([
    ['an empty message', GET_USER, Buffer.alloc(0), 'user_id'],
    ['invalid UTF-8', GET_USER, Buffer.concat([Buffer.from([0x0a, 36]), Buffer.alloc(36, 0xff)]), 'user_id'],
    ['a string with U+0000', CREATE_USER, createUser('\0@example.com'), 'email'],
    [
      'a number below zero',
      LIST_USERS,
      ListUsersRequest.encode({ pageSize: -1, pageToken: '', filter: undefined, orderBy: '' }).finish(),
      'page_size',
    ],
  ])('is told which field is wrong: %s', async (_, path, message, field) => {
    expect(await call(path, frame(message))).toMatchObject({ ...INVALID, fields: [field] });
  });

  it.each([
    ['compressed', frame(gzipSync(good), { compressed: true }), gzip],
    ['with fields of a later version', frame(Buffer.concat([good, Buffer.from([0xf8, 0x07, 0x01])])), {}],
    ['with 15 kB of headers', frame(good), { 'x-large': 'a'.repeat(15_000) }],
  ])('is understood all the same: %s', async (_, body, headers) => {
    expect(await call(GET_USER, body, headers)).toMatchObject(NOT_FOUND);
  });

  it.each([
    ['of another scheme', 'Basic YTpi'],
    ['that lacks its token', 'Bearer '],
    ['with a token that is none', 'Bearer a.b.c'],
    ['with a token outside of ASCII', 'Bearer \u00ff'],
    ['with a token of 15 kB', `Bearer ${'a'.repeat(15_000)}`],
    ['with two tokens', 'Bearer a.b.c, Bearer a.b.c'],
  ])("is nobody's with an authorization %s, whatever it asks for", async (_, authorization) => {
    for (const body of [frame(good), frame(Buffer.alloc(30, 0xff))]) {
      expect(await call(GET_USER, body, { authorization })).toMatchObject(UNAUTHENTICATED);
    }
  });

  it('is written down as refused where the caller may not make it, not where it cannot be decoded', async () => {
    const { tokens } = await signedIn(service);
    const authorization = `Bearer ${tokens.accessToken}`;
    expect(await call(GET_USER, frame(Buffer.alloc(30, 0xff)), { authorization })).toMatchObject(MALFORMED);
    expect(await call(GET_USER, frame(good), { authorization })).toMatchObject({
      ...MALFORMED,
      code: 'PERMISSION_DENIED',
      reason: 'PERMISSION_DENIED',
    });
    const refusals = `select metadata ->> 'reason' as reason from audit_events where type = 'call.refused' and user_id is not null`;
    await expect.poll(() => rows(service, refusals)).toEqual([{ reason: 'PERMISSION_DENIED' }]);
  });

  it.each([66_000, 100_000])('is not answered with %i bytes of headers; other connections go on', async (size) => {
    const own = connectRaw(service.address);
    const headers = { authorization: `Bearer ${service.adminKey}`, 'x-large': 'a'.repeat(size) };
    const refused = own.call(GET_USER, frame(good), headers).catch(() => undefined);
    const others = Array.from({ length: 5 }, () => call(GET_USER, frame(good)));
    expect((await refused)?.code).toBeUndefined();
    own.close();
    for (const other of others) expect(await other).toMatchObject(NOT_FOUND);
    expect(await call(GET_USER, frame(good))).toMatchObject(NOT_FOUND);
  });

  it.each([
    ['method', '/identity.v1.UserService/NoSuchMethod'],
    ['service', '/identity.v1.NoSuchService/GetUser'],
  ])('is UNIMPLEMENTED for an unknown %s', async (_, path) => {
    expect(await call(path, frame(good))).toMatchObject({ code: 'UNIMPLEMENTED' });
  });

  it('is UNIMPLEMENTED for a compression that the server does not have, as gRPC wants it', async () => {
    const body = frame(Buffer.from('garbage'), { compressed: true });
    expect(await call(GET_USER, body, { 'grpc-encoding': 'br' })).toMatchObject({ code: 'UNIMPLEMENTED' });
  });

  it('does nothing where it is refused: a timeout that is none, a second message', async () => {
    const [first, second] = [newEmail(), newEmail()];
    expect(await call(CREATE_USER, frame(createUser(first)), { 'grpc-timeout': 'soon' })).toMatchObject(MALFORMED);
    expect(await call(CREATE_USER, Buffer.concat([frame(createUser(first)), frame(createUser(second))]))).toMatchObject(MALFORMED);
    await expectStatus(service.users.lookupUser({ email: first }), 'NOT_FOUND', 'USER_NOT_FOUND');
    await expectStatus(service.users.lookupUser({ email: second }), 'NOT_FOUND', 'USER_NOT_FOUND');
  });
});

describe('the metadata of a call', () => {
  const LIMIT = 16 * 1024;
  const METADATA_TOO_LARGE = { ...TOO_LARGE, metadata: { limit_bytes: String(LIMIT) } };

  /** As HTTP/2 counts (RFC 9113 §6.5.2): each entry is 32 octets more than its name and its value. */
  const sizeOf = (entries: Record<string, string>) =>
    Object.entries(entries).reduce((size, [name, value]) => size + name.length + value.length + 32, 0);

  /** Entries of this size together with the administrator's key. */
  function ofSize(size: number, name = 'x-large') {
    const entries = { authorization: `Bearer ${service.adminKey}`, [name]: '' };
    return { ...entries, [name]: 'a'.repeat(size - sizeOf(entries)) };
  }

  it('may have 16 KiB, and not one octet more', async () => {
    expect(await call(GET_USER, frame(good), ofSize(LIMIT))).toMatchObject(NOT_FOUND);
    expect(await call(GET_USER, frame(good), ofSize(LIMIT + 1))).toMatchObject(METADATA_TOO_LARGE);
    expect(await call(GET_USER, frame(good), ofSize(60_000))).toMatchObject(METADATA_TOO_LARGE);
  });

  it('is counted as it was sent where it is binary', async () => {
    expect(await call(GET_USER, frame(good), ofSize(LIMIT - (LIMIT % 4), 'x-large-bin'))).toMatchObject(NOT_FOUND);
    expect(await call(GET_USER, frame(good), ofSize(LIMIT + 8, 'x-large-bin'))).toMatchObject(METADATA_TOO_LARGE);
  });

  it('is refused before anybody looks at credentials, or writes down who was refused', async () => {
    const refusals = async () => (await rows(service, `select from audit_events where type = 'call.refused'`)).length;
    const before = await refusals();
    const authorization = `Bearer ${'a'.repeat(20_000)}`;
    await untilNoMailIsPending(service.database.pool);
    expect(await statementsWithRecognitionOf(() => call(GET_USER, frame(good), { authorization }))).toEqual([]);
    expect(await call(GET_USER, frame(good), { authorization })).toMatchObject(METADATA_TOO_LARGE);
    expect(await refusals()).toBe(before);
  });

  it('too large for this call, leaves the connection and its other calls alone', async () => {
    const outcomes = await Promise.all(
      [ofSize(LIMIT), ofSize(LIMIT + 1), ofSize(LIMIT)].map((headers) => call(GET_USER, frame(good), headers)),
    );
    expect(outcomes.map(({ code }) => code)).toEqual(['NOT_FOUND', 'INVALID_ARGUMENT', 'NOT_FOUND']);
  });

  it('is refused from a client that knows gRPC, too', async () => {
    const metadata = { 'x-large': 'a'.repeat(LIMIT) };
    await expectStatus(service.auth.getCaller({}, { metadata }), 'INVALID_ARGUMENT', 'MESSAGE_TOO_LARGE');
  });
});

describe('the id of a request', () => {
  it.each([
    ['the use case', frame(good), {}],
    ['who calls', frame(good), { authorization: 'Bearer a.b.c' }],
    ['the size of the metadata', frame(good), { 'x-large': 'a'.repeat(20_000) }],
    ['validation', frame(Buffer.alloc(0)), {}],
    ['the decoder', frame(Buffer.alloc(30, 0xff)), {}],
    ['the transport', frame(Buffer.alloc(5 << 20)), {}],
    ['the deadline', frame(good), { 'grpc-timeout': '0m' }],
  ])('comes back with a failure of %s', async (_, body, headers) => {
    expect(await call(GET_USER, body, { ...headers, 'x-request-id': 'order-4711:a' })).toMatchObject({ requestId: 'order-4711:a' });
  });

  it.each([
    ['missing', undefined],
    ['of 10 kB', 'a'.repeat(10_000)],
    ['with a control character', 'a\tb'],
    ['with a space', 'a b'],
    ['outside of ASCII', 'a\u00e9'],
  ])('is a new one where the given one is %s', async (_, given) => {
    const outcome = await call(GET_USER, frame(good), given === undefined ? {} : { 'x-request-id': given });
    expect(outcome).toMatchObject({ requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) });
  });
});

describe('a status', () => {
  it('stays small whatever was wrong: a client ends the connection over headers that are too large', async () => {
    const { id } = await register(service);
    const ids = await expectStatus(
      service.users.batchGetUsers({ userIds: Array.from({ length: 1000 }, () => 'x') }),
      'INVALID_ARGUMENT',
      'INVALID_FIELDS',
    );
    expect(ids.fields.slice(0, 50)).toEqual(Array.from({ length: 50 }, (_, index) => `user_ids[${index}]`));
    expect(ids.message.length).toBeLessThan(600);
    const updateMask = Array.from({ length: 1000 }, (_, index) => `${index}${'é'.repeat(90)}`);
    await expectStatus(service.users.updateUser({ user: { id }, updateMask }), 'INVALID_ARGUMENT', 'INVALID_FIELDS');
    expect((await service.users.getUser({ userId: id })).user?.id).toBe(id);
  });

  it.each([98, 99, 100])('survives an emoji at character %i of what it quotes', async (length) => {
    const updateMask = [`${'a'.repeat(length)}😀`];
    await expectInvalid(service.users.updateUser({ user: { id: randomUUID() }, updateMask }), ['update_mask']);
  });

  it('has no text of the database, whose every word is constant', async () => {
    const { email } = await register(service);
    await service.database.pool.query('alter table users rename column locked_until to hidden');
    try {
      const failure = await failureOf(service.auth.login({ email, password: 'whatever it is' }));
      expect(failure).toMatchObject({ code: 'INTERNAL', reason: 'INTERNAL_ERROR', message: 'internal error', metadata: {}, fields: [] });
    } finally {
      await service.database.pool.query('alter table users rename column hidden to locked_until');
    }
  });
});
