import { readFileSync } from 'node:fs';
import { type ChannelCredentials, credentials, Metadata } from '@grpc/grpc-js';
import { HealthClient, HealthCheckResponse_ServingStatus as ServingStatus } from '../gen/health/v1/health.ts';

/** Asks grpc.health.v1 whether the whole server is SERVING; rejects where nobody answers in time. */
export function checkHealth(address: string, channel: ChannelCredentials, timeoutMs: number): Promise<boolean> {
  // TLS knows servers by name; an address is none.
  const client = new HealthClient(address, channel, { 'grpc.ssl_target_name_override': 'localhost' });
  return new Promise<boolean>((resolve, reject) => {
    client.check({ service: '' }, new Metadata(), { deadline: Date.now() + timeoutMs }, (error, response) =>
      error ? reject(error) : resolve(response.status === ServingStatus.SERVING),
    );
  }).finally(() => client.close());
}

/**
 * For a check on the machine itself, which need not prove to anybody where it is. To a server that asks for client certificates it shows the
 * server's own.
 */
export function loopbackCredentials(certFile: string | undefined, keyFile: string | undefined): ChannelCredentials {
  if (!certFile || !keyFile) return credentials.createInsecure();
  return credentials.createSsl(null, readFileSync(keyFile), readFileSync(certFile), { rejectUnauthorized: false });
}
