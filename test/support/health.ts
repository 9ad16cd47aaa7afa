import {
  type Client,
  type ClientOptions,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';

export type ServingStatus = 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';

interface Answer {
  readonly status: ServingStatus;
}

type Callback<Response> = (error: ServiceError | null, response: Response) => void;

interface GeneratedClient extends Client {
  check(request: { service: string }, options: { deadline: number }, callback: Callback<Answer>): void;
  list(request: object, options: { deadline: number }, callback: Callback<{ statuses: Record<string, Answer> }>): void;
  watch(request: { service: string }): ClientReadableStream<Answer>;
}

export interface Watch {
  /** What was said so far, the first thing first. */
  readonly seen: readonly ServingStatus[];
  /** The server has ended it. */
  readonly ended: boolean;
  cancel(): void;
}

/** A client of grpc.health.v1, made from its proto as a load balancer has it. */
export interface HealthClient {
  check(service?: string): Promise<ServingStatus>;
  list(): Promise<Record<string, ServingStatus>>;
  watch(service?: string): Watch;
  close(): void;
}

const PATIENCE_MS = 5000;

export function connectHealth(address: string, options: ClientOptions = {}): HealthClient {
  const { grpc } = loadPackageDefinition(loadSync(protoPath, { enums: String, defaults: true })) as unknown as {
    grpc: { health: { v1: { Health: new (...args: unknown[]) => GeneratedClient } } };
  };
  const client = new grpc.health.v1.Health(address, credentials.createInsecure(), options);
  const answer = <Response>(send: (options: { deadline: number }, callback: Callback<Response>) => void): Promise<Response> =>
    new Promise((resolve, reject) => {
      send({ deadline: Date.now() + PATIENCE_MS }, (error, response) => (error ? reject(error) : resolve(response)));
    });
  return {
    async check(service = '') {
      const { status } = await answer<Answer>((options, callback) => client.check({ service }, options, callback));
      return status;
    },
    async list() {
      const { statuses } = await answer<{ statuses: Record<string, Answer> }>((options, callback) => client.list({}, options, callback));
      return Object.fromEntries(Object.entries(statuses).map(([service, { status }]) => [service, status]));
    },
    watch: (service = '') => watch(client, service),
    close: () => client.close(),
  };
}

function watch(client: GeneratedClient, service: string): Watch {
  const stream = client.watch({ service });
  const seen: ServingStatus[] = [];
  stream.on('data', ({ status }: Answer) => seen.push(status));
  let ended = false;
  stream.on('end', () => {
    ended = true;
  });
  stream.on('error', () => undefined);
  return {
    seen,
    get ended() {
      return ended;
    },
    cancel: () => stream.cancel(),
  };
}
