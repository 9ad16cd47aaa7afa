import { Client, credentials, type MethodDefinition } from '@grpc/grpc-js';
import { service } from 'grpc-health-check';

/** Asks grpc.health.v1 whether the whole server is SERVING; rejects where nobody answers in time. */
export function checkHealth(address: string, timeoutMs: number): Promise<boolean> {
  const { path, requestSerialize, responseDeserialize } = service.Check as MethodDefinition<object, { status?: string }>;
  const client = new Client(address, credentials.createInsecure());
  return new Promise<boolean>((resolve, reject) => {
    const options = { deadline: Date.now() + timeoutMs };
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { service: '' }, options, (error, response) =>
      error ? reject(error) : resolve(response?.status === 'SERVING'),
    );
  }).finally(() => client.close());
}
