import { describe, expect, it } from 'vitest';
import { logIn, register } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { importUsers, newRow } from '../support/import-users.ts';
import { listening } from '../support/ports.ts';
import { rows, whileInsertsFail } from '../support/rows.ts';
import { startService, useService } from '../support/service.ts';

const service = useService({ METRICS_PORT: '0' });

const get = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${service.app.metricsPort}${path}`, init);

describe('the metrics', () => {
  it('are offered in the format of Prometheus', async () => {
    const response = await get('/metrics');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    const text = await response.text();
    expect(text).toMatch(/^# TYPE identity_breach_check_failures_total counter$/m);
    expect(text).toMatch(/^identity_breach_check_failures_total 0$/m);
    expect(text).toMatch(/^process_resident_memory_bytes \d+/m);
    expect(text).toMatch(/^nodejs_eventloop_lag_seconds /m);
  });

  it('are offered at one path, to be read only', async () => {
    for (const path of ['/', '/metrics/more', '/favicon.ico']) expect((await get(path)).status).toBe(404);
    expect((await get('/metrics', { method: 'POST' })).status).toBe(404);
  });

  it('are not offered unless a port is set', async () => {
    const other = await startService({}, service.database);
    expect(other.app.metricsPort).toBeUndefined();
    await other.stop();
  });

  it('count all that is in the audit trail, whoever has written it', async () => {
    const alone = await startService({ METRICS_PORT: '0' });
    try {
      const { email } = await register(alone);
      await logIn(alone, email);
      await importUsers(alone, [newRow(), newRow({ roles: ['reader'] }), newRow()]);
      const written = await rows<{ type: string; count: number }>(
        alone,
        'select type, count(*)::int as count from audit_events group by type',
      );
      const text = await (await fetch(`http://127.0.0.1:${alone.app.metricsPort}/metrics`)).text();
      const counted = Array.from(text.matchAll(/^identity_audit_events_total\{type="([\w.]+)"\} (\d+)$/gm), ([, type, count]) => ({
        type,
        count: Number(count),
      }));
      expect(written).toContainEqual({ type: 'user.created', count: 4 });
      expect(counted).toEqual(expect.arrayContaining(written));
      expect(counted).toHaveLength(written.length);
    } finally {
      await alone.stop();
    }
  });

  it('of two services in one process are two', async () => {
    const other = await startService({ METRICS_PORT: '0' }, service.database);
    expect(other.app.metricsPort).not.toBe(service.app.metricsPort);
    await other.stop();
    await expect(fetch(`http://127.0.0.1:${other.app.metricsPort}/metrics`)).rejects.toThrow();
    expect((await get('/metrics')).status).toBe(200);
  });

  it('fail the start where their port is taken', async () => {
    const { server: squatter, port } = await listening();
    try {
      await expect(startService({ METRICS_PORT: String(port) }, service.database)).rejects.toMatchObject({
        name: 'ListenError',
        message: expect.stringMatching(new RegExp(`^Cannot listen on 127\\.0\\.0\\.1:${port} for metrics: .*EADDRINUSE`)),
      });
    } finally {
      squatter.close();
    }
  });
});

describe('what they count', () => {
  const metric = async (name: string) => {
    const line = (await (await get('/metrics')).text()).split('\n').find((text) => text.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.slice(name.length + 1));
  };

  it('is each call by RPC and code, and why it failed', async () => {
    const login = 'rpc="/identity.v1.AuthService/Login"';
    const { email } = await register(service);
    await logIn(service, email);
    for (let time = 0; time < 2; time++) await expectStatus(logIn(service, email, 'wrong'), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect(await metric(`identity_rpc_duration_seconds_count{${login},code="OK"}`)).toBe(1);
    expect(await metric(`identity_rpc_duration_seconds_count{${login},code="UNAUTHENTICATED"}`)).toBe(2);
    expect(await metric(`identity_rpc_failures_total{${login},reason="INVALID_CREDENTIALS"}`)).toBe(2);
  });

  it('is what was committed to the audit trail: lockouts, for one', async () => {
    const { email } = await register(service);
    for (let time = 0; time < 5; time++) await expectStatus(logIn(service, email, 'wrong'), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect(await metric('identity_audit_events_total{type="user.locked"}')).toBe(1);
    await whileInsertsFail(service, 'audit_events', () => register(service).catch(() => undefined));
    expect(await metric('identity_audit_events_total{type="user.created"}')).toBe(2);
  });

  it('is how long passwords wait, who waits for connections, and how late events are', async () => {
    expect(await metric('identity_hash_wait_seconds_count')).toBeGreaterThan(0);
    expect(await metric('identity_hash_queue_length')).toBe(0);
    expect(await metric('identity_hashes_shed_total')).toBe(0);
    expect(await metric('identity_database_connections_waited_for')).toBe(0);
    expect(await metric('identity_database_connections_in_use')).toBeGreaterThanOrEqual(0);
    expect(await metric('identity_events_lag_seconds')).toBeLessThan(5);
    await expect.poll(() => metric('identity_mail_events_unseen')).toBe(0);
  });
});
