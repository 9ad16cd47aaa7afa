import { randomUUID } from 'node:crypto';
import { connect } from 'node:http2';
import { describe, expect, it } from 'vitest';
import { ImportUsersRequest, ImportUsersResponse } from '../../src/gen/identity/v1/user_service.ts';
import { newEmail, register } from '../support/builders.ts';
import { expectStatus, failureOf } from '../support/expect-status.ts';
import { keyOf, programInRoles, programWith, roleWith } from '../support/grants.ts';
import { complete, Import, importOne, importUntilEnd, importUsers, newRow, PASSWORD_HASH, type Row } from '../support/import-users.ts';
import { connectRaw, frame } from '../support/raw-http2.ts';
import { rows } from '../support/rows.ts';
import { startService, type TestService, useService } from '../support/service.ts';

const service = useService();

const IMPORT = '/identity.v1.UserService/ImportUsers';
const HEADERS = { ':method': 'POST', ':path': IMPORT, 'content-type': 'application/grpc', te: 'trailers' };
const encoded = (row: Row) => frame(ImportUsersRequest.encode(complete(row)).finish());

function* endless(fields: () => Row = () => ({})): Generator<Row> {
  for (;;) yield newRow(fields());
}

/** Users that lack a part of what is committed together. */
async function halfImported(of: TestService): Promise<unknown[]> {
  return rows(
    of,
    `select u.id from users u where not exists (select from profiles where user_id = u.id)
       or not exists (select from user_roles where user_id = u.id)
       or (select count(*) from audit_events where user_id = u.id and type in ('user.created', 'role.assigned')) <> 2
       or (select count(*) from events where user_id = u.id) <> 2`,
  );
}

/** Nothing of the service's is under way in the database. */
async function expectIdleDatabase(of: TestService): Promise<void> {
  const busy = `select state, query from pg_stat_activity where datname = current_database() and application_name = 'identity'
    and (state like 'idle in transaction%' or (state = 'active' and query !~ 'authorization_epoch|^select 1$|events|mails'))`;
  await expect.poll(() => rows(of, busy)).toEqual([]);
}

describe('an import', () => {
  it('takes 5,000 rows with hash, profile and role in well under half a minute', async () => {
    const begin = performance.now();
    const given = Array.from({ length: 5000 }, (_, index) =>
      newRow({ passwordHash: PASSWORD_HASH, profile: { firstName: 'Ada', lastName: `Lovelace ${index}` }, roles: ['reader'] }),
    );
    const answers = await importUsers(service, given);
    expect(answers.filter(({ outcome }) => outcome === 'CREATED')).toHaveLength(5000);
    expect(performance.now() - begin).toBeLessThan(30_000);
  });

  it('answers a row before the next one is sent: nobody has to fill a batch', async () => {
    const running = new Import(service);
    const answers = running.answers();
    for (let row = 0; row < 5; row++) {
      await running.send(newRow());
      expect((await answers.next()).value).toMatchObject({ row, outcome: 'CREATED' });
    }
    running.end();
    expect((await answers.next()).done).toBe(true);
  });

  it('without rows ends well', async () => expect(await importUsers(service, [])).toEqual([]));
});

describe('who imports', () => {
  it('is asked before the first row is looked at', async () => {
    const raw = connectRaw(service.address);
    const garbage = frame(Buffer.alloc(30, 0xff));
    const { key } = await programInRoles(service, ['reader']);
    expect(await raw.call(IMPORT, garbage)).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'CALLER_UNAUTHENTICATED' });
    const headers = { authorization: `Bearer ${key}`, 'x-request-id': 'import-1' };
    const refused = { code: 'PERMISSION_DENIED', reason: 'PERMISSION_DENIED', metadata: { permission: 'identity.users.import' } };
    expect(await raw.call(IMPORT, garbage, headers)).toMatchObject({ ...refused, requestId: 'import-1' });
    raw.close();
  });

  it('is refused although no row ever comes, and that is written down', async () => {
    const { key, name } = await programInRoles(service, ['service']);
    const running = new Import(service, { token: key });
    await expectStatus(running.answers().next(), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
    const refusals = `select metadata from audit_events where type = 'call.refused' and actor = $1`;
    const expected = [{ metadata: { rpc: IMPORT, reason: 'PERMISSION_DENIED' } }];
    await expect.poll(() => rows(service, refusals, [`service_account:${name}`])).toEqual(expected);
  });

  it('has a limit of calls, of which a stream is one', async () => {
    const own = await startService({ RATE_LIMIT_PER_CALLER: '10' });
    const results: string[] = [];
    for (let index = 0; index < 15; index++) {
      results.push(
        await importUsers(own, [newRow(), newRow()]).then(
          () => 'ok',
          () => 'refused',
        ),
      );
    }
    expect(results).toContain('ok');
    await expectStatus(importUsers(own, [newRow()]), 'RESOURCE_EXHAUSTED', 'RATE_LIMITED');
    await own.stop();
  });

  it('loses the right in the middle where the key is revoked', async () => {
    const { id } = await programInRoles(service, ['admin']);
    const { apiKey, key } = await service.apiKeys.createApiKey({ serviceAccountId: id, name: 'test' });
    const running = new Import(service, { token: key });
    const answers = running.answers();
    await running.send(newRow());
    expect((await answers.next()).value).toMatchObject({ outcome: 'CREATED' });
    await service.apiKeys.revokeApiKey({ apiKeyId: apiKey?.id ?? '' });
    await running.send(newRow());
    await expectStatus(answers.next(), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
  });

  it('cannot give any longer what was taken from them in the middle', async () => {
    const strong = await roleWith(service, ['*']);
    const { id, key } = await programWith(service, ['identity.users.import']);
    await service.roles.assignRole({ serviceAccountId: id, role: strong });
    const running = new Import(service, { token: key });
    const answers = running.answers();
    await running.send(newRow({ roles: ['admin'] }));
    expect((await answers.next()).value).toMatchObject({ outcome: 'CREATED' });
    await service.roles.unassignRole({ serviceAccountId: id, role: strong });
    await running.send(newRow({ roles: ['admin'] }));
    expect((await answers.next()).value).toMatchObject({ reason: 'GRANT_EXCEEDS_CALLER' });
    running.end();
  });
});

describe('a message that is no row', () => {
  const call = (...frames: Buffer[]) => {
    const raw = connectRaw(service.address);
    return raw.call(IMPORT, Buffer.concat(frames), { authorization: `Bearer ${service.adminKey}` }).finally(() => raw.close());
  };

  it.each([
    ['300 KiB', frame(Buffer.alloc(300 * 1024)), 'MESSAGE_TOO_LARGE'],
    ['5 MiB', frame(Buffer.alloc(5 << 20)), 'MESSAGE_TOO_LARGE'],
    ['random bytes', frame(Buffer.alloc(30, 0xff)), 'MALFORMED_MESSAGE'],
    ['something compressed that is not', frame(Buffer.from('garbage'), { compressed: true }), 'MALFORMED_MESSAGE'],
  ])('fails the stream: %s', async (_, bytes, reason) => {
    expect(await call(bytes)).toMatchObject({ code: 'INVALID_ARGUMENT', reason });
  });

  it('costs none of the rows before it', async () => {
    const email = newEmail();
    const row = newRow({ email });
    expect(await call(encoded(row), frame(Buffer.alloc(300 * 1024)), encoded(newRow()))).toMatchObject({ reason: 'MESSAGE_TOO_LARGE' });
    expect((await service.users.lookupUser({ email })).user?.email).toBe(email);
    const large = newRow({ profile: { bio: 'a'.repeat(300 * 1024) } });
    const { answers, error } = await importUntilEnd(service, [row, newRow(), large, newRow()]);
    expect(answers.map(({ outcome }) => outcome)).toEqual(['UNCHANGED', 'CREATED']);
    await expectStatus(Promise.reject(error), 'INVALID_ARGUMENT', 'MESSAGE_TOO_LARGE');
  });
});

describe('an import that breaks off', () => {
  const row = () => ({ roles: ['reader'], passwordHash: PASSWORD_HASH });

  /** Sends rows without an end, and does something when so many are answered. */
  async function importUntil(of: TestService, answered: number, then: (running: Import) => void, settings?: { timeout: number }) {
    const running = new Import(of, settings);
    let count = 0;
    const reading = (async () => {
      for await (const { outcome } of running.answers()) {
        expect(outcome).toBe('CREATED');
        if (++count === answered) then(running);
      }
    })();
    const failure = failureOf(reading);
    for (const next of endless(row)) {
      if (running.stream.destroyed) break;
      await running.send(next);
    }
    return { failure: await failure, count };
  }

  it.each([
    ['is cancelled', 700, 'CANCELLED'],
    ['is cancelled at once', 1, 'CANCELLED'],
  ])('leaves only whole batches where it %s, and can be run again', async (_, answered, code) => {
    const own = await startService();
    const { failure, count } = await importUntil(own, answered, (running) => running.cancel());
    expect(failure.code).toBe(code);
    await expectIdleDatabase(own);
    expect(await halfImported(own)).toEqual([]);
    const [stored] = await rows<{ count: number }>(own, 'select count(*)::int as count from users');
    // What was answered is stored; what was stored when it was cancelled may not have been answered yet.
    expect(stored?.count).toBeGreaterThanOrEqual(count);
    await own.stop();
  });

  it('stops at the deadline of the caller', async () => {
    const own = await startService();
    const { failure } = await importUntil(own, -1, () => undefined, { timeout: 1500 });
    expect(failure.code).toBe('DEADLINE_EXCEEDED');
    await expectIdleDatabase(own);
    expect(await halfImported(own)).toEqual([]);
    await own.stop();
  });

  it('leaves nothing open where the client vanishes without a word', async () => {
    const own = await startService();
    const sessions = Array.from({ length: 5 }, () => {
      const session = connect(`http://${own.address}`).on('error', () => undefined);
      const stream = session.request({ ...HEADERS, authorization: `Bearer ${own.adminKey}` }).on('error', () => undefined);
      for (let index = 0; index < 2000; index++) stream.write(encoded(newRow(row())));
      return session;
    });
    await expect.poll(async () => (await rows(own, 'select 1 from users limit 1')).length).toBe(1);
    for (const session of sessions) session.destroy();
    await expectIdleDatabase(own);
    expect(await halfImported(own)).toEqual([]);
    const begin = performance.now();
    await own.stop();
    // It waits for no call: none is left.
    expect(performance.now() - begin).toBeLessThan(5000);
  });

  it('ends where the service stops, after its patience', async () => {
    const own = await startService();
    const running = new Import(own);
    const answers = running.answers();
    await running.send(newRow());
    await answers.next();
    const failed = failureOf(answers.next());
    await own.stop();
    expect((await failed).code).toMatch(/^(UNAVAILABLE|CANCELLED)$/);
  });
});

describe('a client that sends as fast as it can and reads nothing', () => {
  const ROWS = 20_000;

  it('is held up: what it has sent stays with it, until it reads', async () => {
    // Not by grpc-js, which takes in all answers that nobody reads.
    const session = connect(`http://${service.address}`);
    const stream = session.request({ ...HEADERS, authorization: `Bearer ${service.adminKey}` });
    // Refused by validation: the cheapest there is, so that only the connection can hold it up.
    const row = encoded({ email: 'nobody', requestId: randomUUID(), profile: { bio: 'a'.repeat(1000) } });
    let sent = 0;
    const sending = (async () => {
      for (; sent < ROWS; sent++) await new Promise((resolve) => stream.write(row, resolve));
      stream.end();
    })();
    await expect.poll(() => sent).toBeGreaterThan(100);
    // While somebody else's whole import goes by, nothing more is taken in.
    const taken = async () => {
      const before = sent;
      await importUsers(
        service,
        Array.from({ length: 1000 }, () => newRow()),
      );
      return sent - before;
    };
    await expect.poll(taken, { interval: 1, timeout: 30_000 }).toBe(0);
    expect(sent).toBeLessThan(ROWS / 4);
    let expected = 0;
    for await (const answer of messagesIn(stream)) expect(ImportUsersResponse.decode(answer)).toMatchObject({ row: expected++ });
    expect(expected).toBe(ROWS);
    await sending;
    session.close();
  });
});

/** The messages in gRPC's frames. */
async function* messagesIn(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  let rest = Buffer.alloc(0);
  for await (const chunk of bytes) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      const end = 5 + rest.readUInt32BE(1);
      yield rest.subarray(5, end);
      rest = rest.subarray(end);
    }
  }
}

describe('a server at work on an import', () => {
  it('goes on answering others', async () => {
    const { id } = await register(service);
    const key = await keyOf(service, { userId: id });
    const importing = importUsers(
      service,
      Array.from({ length: 3000 }, () => newRow({ roles: ['reader'] })),
    );
    let slowest = 0;
    for (let index = 0; index < 20; index++) {
      const begin = performance.now();
      await service.users.getUser({ userId: id }, { token: key });
      slowest = Math.max(slowest, performance.now() - begin);
    }
    expect(slowest).toBeLessThan(2000);
    await importing;
    expect((await importOne(service, newRow())).outcome).toBe('CREATED');
  });
});
