import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Authority } from '../support/certificates.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { Process } from '../support/process.ts';
import { startService } from '../support/service.ts';

const HEALTHCHECK = path.resolve(import.meta.dirname, '../../src/commands/healthcheck.ts');

const authority = new Authority();
const { certFile, keyFile } = authority.sign('localhost');
const TLS = { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile };

/** Another one of this machine: Linux has 16 million of them, others often IPv6. */
const ANOTHER = process.platform === 'linux' ? '127.0.0.2' : '::1';

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

afterAll(async () => {
  await database.drop();
  authority.dispose();
});

/** What the check says in the environment of the service, as a container runs it. */
const check = (env: Record<string, string>) => new Process(env, path.dirname(HEALTHCHECK), [HEALTHCHECK]).exit;

describe('the health check of a container', () => {
  it.each([
    ['on loopback', {}],
    ['on all addresses', { GRPC_HOST: '0.0.0.0', ALLOW_PLAINTEXT: 'true' }],
    ['on one address alone', { GRPC_HOST: ANOTHER }],
    ['with TLS', TLS],
    ['with certificates on both sides', { ...TLS, TLS_CLIENT_CA_FILE: authority.caFile }],
  ])('finds a service %s, and its end', async (_, env: Record<string, string>) => {
    const service = await startService(env, database);
    const environment = { ...env, GRPC_PORT: String(service.app.port) };
    expect(await check(environment)).toBe(0);
    await service.stop();
    expect(await check(environment)).toBe(1);
  });
});
