import { copyFileSync } from 'node:fs';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Authority, type Certificate } from '../support/certificates.ts';
import { type Clients, connect } from '../support/client.ts';
import { expectStatus } from '../support/expect-status.ts';
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
