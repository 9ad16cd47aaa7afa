import { copyFileSync } from 'node:fs';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forge } from '../support/access-tokens.ts';
import { newEmail, PASSWORD, required } from '../support/builders.ts';
import { Authority, type Certificate } from '../support/certificates.ts';
import { type Clients, connect } from '../support/client.ts';
import { expectStatus } from '../support/expect-status.ts';
import { rows } from '../support/rows.ts';
import { startService, type TestService } from '../support/service.ts';

const authority = new Authority();
const stranger = new Authority();
const server = authority.sign('localhost');
const settings = { TLS_CERT_FILE: server.certFile, TLS_KEY_FILE: server.keyFile };

let tls: TestService;
let mutual: TestService;
const opened: Clients[] = [];

beforeAll(async () => {
  tls = await startService(settings);
  mutual = await startService({ ...settings, TLS_CLIENT_CA_FILE: authority.caFile });
});

afterAll(async () => {
  for (const clients of opened) clients.close();
  await Promise.all([tls.stop(), mutual.stop()]);
  authority.dispose();
  stranger.dispose();
});

function client(service: TestService, channel: ChannelCredentials, token?: string): Clients {
  const clients = connect(`localhost:${service.app.port}`, token, channel);
  opened.push(clients);
  return clients;
}

const trusting = (certificate?: Certificate) => credentials.createSsl(authority.ca, certificate?.key ?? null, certificate?.cert ?? null);

/** What the server shows, and under which version of TLS. */
function handshake(service: TestService, options: object = {}): Promise<{ serial: string; protocol: string | null }> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connectTls(
      { host: 'localhost', port: service.app.port, ca: authority.ca, servername: 'localhost', ALPNProtocols: ['h2'], ...options },
      () => {
        resolve({ serial: socket.getPeerCertificate().serialNumber, protocol: socket.getProtocol() });
        socket.destroy();
      },
    );
    socket.on('error', reject);
  });
}

describe('TLS', () => {
  it('serves whoever trusts its authority', async () => {
    const { serviceAccount } = await client(tls, trusting(), tls.adminKey).auth.getCaller({});
    expect(serviceAccount?.name).toBe('test-admin');
  });

  it('does not speak plaintext', async () => {
    await expect(tls.auth.getCaller({}, { timeout: 20_000 })).rejects.toMatchObject({
      code: expect.toSatisfy((code) => [4, 14].includes(code)),
    });
  });

  it('is not trusted by whoever trusts another authority', async () => {
    const distrusting = client(tls, credentials.createSsl(stranger.ca), tls.adminKey);
    await expect(distrusting.auth.getCaller({}, { timeout: 20_000 })).rejects.toMatchObject({
      code: expect.toSatisfy((code) => [4, 14].includes(code)),
    });
  });

  it('begins with TLS 1.2', async () => {
    expect((await handshake(tls)).protocol).toBe('TLSv1.3');
    expect((await handshake(tls, { maxVersion: 'TLSv1.2' })).protocol).toBe('TLSv1.2');
    await expect(handshake(tls, { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' })).rejects.toThrow();
  });

  it('shows a renewed certificate to new connections, while open ones go on', async () => {
    const open = client(tls, trusting(), tls.adminKey);
    await open.auth.getCaller({});
    const before = await handshake(tls);
    const renewed = authority.sign('localhost', { file: 'renewed' });
    copyFileSync(renewed.keyFile, server.keyFile);
    copyFileSync(renewed.certFile, server.certFile);

    await expect.poll(async () => (await handshake(tls)).serial).not.toBe(before.serial);
    await open.auth.getCaller({});
  });
});

describe('mutual TLS', () => {
  const refused = { code: expect.toSatisfy((code) => [4, 14].includes(code)) };

  it('knows a service account by the DNS name in its certificate', async () => {
    await client(mutual, trusting(authority.sign('admin-script')), mutual.adminKey).serviceAccounts.createServiceAccount({
      name: 'shop-backend',
      roles: ['service'],
    });
    const { serviceAccount, permissions } = await client(mutual, trusting(authority.sign('shop-backend'))).auth.getCaller({});
    expect(serviceAccount?.name).toBe('shop-backend');
    expect(permissions).toContain('identity.auth.login');
  });

  it('lets the header go before the certificate', async () => {
    const { serviceAccount } = await client(mutual, trusting(authority.sign('shop-backend')), mutual.adminKey).auth.getCaller({});
    expect(serviceAccount?.name).toBe('test-admin');
  });

  it('does not know a certificate that names no account', async () => {
    await expectStatus(client(mutual, trusting(authority.sign('nobody'))).auth.getCaller({}), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
  });

  it('refuses a connection without a certificate', async () => {
    await expect(client(mutual, trusting(), mutual.adminKey).auth.getCaller({}, { timeout: 20_000 })).rejects.toMatchObject(refused);
  });

  it('refuses a certificate of a foreign authority', async () => {
    const foreign = client(mutual, trusting(stranger.sign('shop-backend')), mutual.adminKey);
    await expect(foreign.auth.getCaller({}, { timeout: 20_000 })).rejects.toMatchObject(refused);
  });

  it('refuses an expired certificate', async () => {
    const expired = client(mutual, trusting(authority.sign('shop-backend', { days: -1, file: 'expired' })), mutual.adminKey);
    await expect(expired.auth.getCaller({}, { timeout: 20_000 })).rejects.toMatchObject(refused);
  });
});

describe('mutual TLS, with a header that is no good', () => {
  const admin = () => client(mutual, trusting(authority.sign('admin-script')), mutual.adminKey);
  let backend: Clients;

  beforeAll(async () => {
    await admin().serviceAccounts.createServiceAccount({ name: 'other-backend', roles: ['service'] });
    backend = client(mutual, trusting(authority.sign('other-backend')));
  });

  async function revokedKey(): Promise<string> {
    const { serviceAccount } = await admin().serviceAccounts.createServiceAccount({ name: 'third-backend', roles: ['admin'] });
    const { key, apiKey } = await admin().apiKeys.createApiKey({ serviceAccountId: required(serviceAccount).id, name: 'test' });
    await admin().apiKeys.revokeApiKey({ apiKeyId: required(apiKey).id });
    return key;
  }

  it('falls back neither to the certificate nor to nobody, and nothing happens', async () => {
    const email = newEmail();
    await admin().auth.register({ email, password: PASSWORD });
    const { accessToken } = required((await admin().auth.login({ email, password: PASSWORD })).tokens);
    // With the certificate alone, and with a header that is good, the same calls are let in.
    expect((await backend.auth.getCaller({})).serviceAccount?.name).toBe('other-backend');
    expect((await backend.auth.getCaller({}, { token: accessToken })).user).toBeDefined();
    await backend.auth.register({ email: newEmail(), password: PASSWORD });

    const headers = [
      `Bearer ${await revokedKey()}`,
      `Bearer ${mutual.adminKey.slice(0, -1)}`,
      `Bearer ${forge(accessToken, { secret: 'another secret key, also of 32 bytes' })}`,
      `Bearer ${forge(accessToken, { claims: { exp: 1 } })}`,
      'Bearer',
      `Basic ${Buffer.from('other-backend:').toString('base64')}`,
      'other-backend',
    ];
    for (const authorization of headers) {
      const settings = { metadata: { authorization } };
      const unwanted = newEmail();
      await expectStatus(backend.auth.getCaller({}, settings), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
      const registration = backend.auth.register({ email: unwanted, password: PASSWORD }, settings);
      await expectStatus(registration, 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
      expect(await rows(mutual, 'select 1 from users where email = $1', [unwanted])).toEqual([]);
    }
  });
});

describe('mutual TLS, with the name of an account elsewhere than among the DNS names', () => {
  it('does not take it for that account: not by the common name (RFC 6125)', async () => {
    const admin = client(mutual, trusting(authority.sign('admin-script')), mutual.adminKey);
    await admin.serviceAccounts.createServiceAccount({ name: 'billing', roles: ['admin'] });
    expect((await client(mutual, trusting(authority.sign('billing'))).auth.getCaller({})).serviceAccount?.name).toBe('billing');
    const imposter = authority.sign('imposter', { commonName: 'billing' });
    await expectStatus(client(mutual, trusting(imposter)).auth.getCaller({}), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
  });
});
