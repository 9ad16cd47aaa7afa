import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addHealth } from '../../src/rpc/health.ts';
import { createServer, listen } from '../../src/rpc/server.ts';
import { logIn, register } from '../support/builders.ts';
import { connectHealth, type HealthClient } from '../support/health.ts';
import { holdUser, untilBlocked } from '../support/locks.ts';
import { connectRaw, frame } from '../support/raw-http2.ts';
import { startService, useService } from '../support/service.ts';

const SERVICES = [
  'identity.v1.UserService',
  'identity.v1.AuthService',
  'identity.v1.SessionService',
  'identity.v1.RoleService',
  'identity.v1.ServiceAccountService',
  'identity.v1.ApiKeyService',
  'identity.v1.AuditService',
];

describe('a service with its database', () => {
  const service = useService();
  let health: HealthClient;
  beforeAll(() => {
    health = connectHealth(service.address);
  });
  afterAll(() => health.close());

  it.each(['', ...SERVICES])('Check says SERVING for "%s"', async (name) => {
    expect(await health.check(name)).toBe('SERVING');
  });

  it.each([undefined, 'Bearer a.b.c', 'Basic YTpi'])('answers whoever asks, whatever the authorization: %s', async (authorization) => {
    const raw = connectRaw(service.address);
    const headers = authorization === undefined ? {} : { authorization };
    expect(await raw.call('/grpc.health.v1.Health/Check', frame(Buffer.alloc(0)), headers)).toEqual({ code: 'OK' });
    expect(await raw.call('/grpc.health.v1.Health/List', frame(Buffer.alloc(0)), headers)).toEqual({ code: 'OK' });
    expect(await raw.call('/identity.v1.UserService/ListUsers', frame(Buffer.alloc(0)), headers)).toMatchObject({
      code: 'UNAUTHENTICATED',
      reason: 'CALLER_UNAUTHENTICATED',
    });
    raw.close();
  });

  it('Check answers NOT_FOUND for a service that nobody knows', async () => {
    await expect(health.check('identity.v1.NoSuchService')).rejects.toMatchObject({ code: status.NOT_FOUND });
  });

  it('List names the server as a whole and each service', async () => {
    expect(await health.list()).toEqual(Object.fromEntries(['', ...SERVICES].map((name) => [name, 'SERVING'])));
  });

  it('Watch says nothing as long as nothing changes', async () => {
    const watch = health.watch();
    await expect.poll(() => watch.seen).toEqual(['SERVING']);
    const lastProbe = async () => {
      const { rows } = await service.database.pool.query(
        `select max(query_start)::text as at from pg_stat_activity
         where datname = current_database() and application_name = 'identity' and query = 'select 1'`,
      );
      return rows[0].at;
    };
    for (let probes = 0; probes < 2; probes++) {
      const before = await lastProbe();
      await expect.poll(lastProbe).not.toBe(before);
    }
    expect(await health.check()).toBe('SERVING');
    expect(watch.seen).toEqual(['SERVING']);
    watch.cancel();
  });

  it('Watch begins with the status now, and with SERVICE_UNKNOWN for a service that nobody knows', async () => {
    const known = health.watch(SERVICES[0]);
    const unknown = health.watch('identity.v1.NoSuchService');
    await expect.poll(() => [known.seen, unknown.seen]).toEqual([['SERVING'], ['SERVICE_UNKNOWN']]);
    known.cancel();
    unknown.cancel();
  });
});

describe('a service that drains', () => {
  it('says NOT_SERVING to those who watch and ends their calls, while it finishes what it has begun', async () => {
    const service = await startService();
    const health = connectHealth(service.address);
    const watches = ['', ...SERVICES].map((name) => health.watch(name));
    await expect.poll(() => watches.map(({ seen }) => seen)).toEqual(watches.map(() => ['SERVING']));
    const { id, email } = await register(service);
    const account = await holdUser(service, id);
    const login = logIn(service, email);
    await untilBlocked(service, 1);

    const closed = service.app.close();
    await expect.poll(() => watches.map(({ seen }) => seen)).toEqual(watches.map(() => ['SERVING', 'NOT_SERVING']));
    await expect.poll(() => watches.every(({ ended }) => ended)).toBe(true);
    await account.release();
    expect((await login).accessToken).not.toBe('');
    health.close();
    await closed;
    await service.stop();
  });
});

describe('one process of several', () => {
  it('says what all have found, and that it drains, whatever they find', async () => {
    const server = createServer();
    const reported: boolean[] = [];
    let tellAll: (serving: boolean) => void = () => undefined;
    const ofAll = {
      report: (serving: boolean) => void reported.push(serving),
      onChange: (listener: typeof tellAll) => {
        tellAll = listener;
      },
    };
    const health = await addHealth(server, [], async () => undefined, ofAll);
    const { port, drain } = await listen(server, { host: '127.0.0.1', port: 0, tls: undefined });
    const client = connectHealth(`127.0.0.1:${port}`);
    expect(await client.check()).toBe('SERVING');
    tellAll(false);
    expect(await client.check()).toBe('NOT_SERVING');
    // Its own probe succeeds, and is told; but another one fails.
    const told = reported.length;
    await expect.poll(() => reported.length).toBeGreaterThan(told);
    expect(reported.at(-1)).toBe(true);
    expect(await client.check()).toBe('NOT_SERVING');
    tellAll(true);
    expect(await client.check()).toBe('SERVING');
    health.drain();
    tellAll(true);
    expect(await client.check()).toBe('NOT_SERVING');
    health.stop();
    client.close();
    await drain(1000);
  });
});
