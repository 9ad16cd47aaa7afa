import {
  logVerbosity,
  type MethodDefinition,
  Server,
  type ServiceDefinition,
  setLogVerbosity,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { serverCredentials, type TlsFiles } from './tls.ts';
import { refineTransportErrors } from './transport-errors.ts';
import { type Rpc, type Runtime, unaryHandler } from './unary.ts';

/** An upper bound on what is buffered before a request is looked at; MAX_REQUEST_BYTES is the limit that callers are told. */
const MAX_RECEIVE_BYTES = 4 * 1024 * 1024;
const MAX_STREAMS_PER_CONNECTION = 1000;

/** Connections are long-lived; ending them now and then lets load balancers spread them anew. Calls in flight may finish. */
const MAX_CONNECTION_AGE_MS = 30 * 60 * 1000;
const MAX_CONNECTION_AGE_GRACE_MS = 30 * 1000;
/** A connection whose other end is gone without a word is noticed after this long. */
const KEEPALIVE_MS = 60 * 1000;
const KEEPALIVE_TIMEOUT_MS = 20 * 1000;

type RequestOf<M> = M extends { requestDeserialize: (bytes: Buffer) => infer Request } ? Request : never;
type ResponseOf<M> = M extends { responseDeserialize: (bytes: Buffer) => infer Response } ? Response : never;

/** One Rpc for every method of a generated service: a missing or a superfluous one does not compile. */
export type Rpcs<Definition> = { readonly [Name in keyof Definition]: Rpc<RequestOf<Definition[Name]>, ResponseOf<Definition[Name]>> };

export function createServer(): Server {
  refineTransportErrors();
  // By itself grpc-js writes headers that it does not accept to the console, with what is in them: tokens, or forged log lines.
  setLogVerbosity(logVerbosity.NONE);
  return new Server({
    // channelz keeps books on every call; nobody reads them here.
    'grpc.enable_channelz': 0,
    'grpc.max_receive_message_length': MAX_RECEIVE_BYTES,
    'grpc.max_concurrent_streams': MAX_STREAMS_PER_CONNECTION,
    'grpc.max_connection_age_ms': MAX_CONNECTION_AGE_MS,
    'grpc.max_connection_age_grace_ms': MAX_CONNECTION_AGE_GRACE_MS,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
  });
}

/** A generated service together with what answers it. */
export interface Service {
  readonly definition: ServiceDefinition;
  readonly rpcs: Readonly<Record<string, Rpc<unknown, unknown>>>;
}

export function service<Definition extends ServiceDefinition>(definition: Definition, rpcs: Rpcs<Definition>): Service {
  // Rpcs has made sure that each RPC takes and gives the messages of its method.
  return { definition, rpcs: rpcs as unknown as Service['rpcs'] };
}

/** Adds a service; returns its full name. */
export function addService(server: Server, { definition, rpcs }: Service, runtime: Runtime): string {
  const undecoded: Record<string, MethodDefinition<Buffer, Buffer>> = {};
  const handlers: UntypedServiceImplementation = {};
  for (const [name, method] of Object.entries(definition)) {
    undecoded[name] = { ...method, requestDeserialize: (bytes) => bytes, responseSerialize: (bytes) => bytes } as MethodDefinition<
      Buffer,
      Buffer
    >;
    const access = runtime.access.get(method.path);
    if (!access) throw new Error(`${method.path} does not say who may call it`);
    handlers[name] = unaryHandler({ method, access, rpc: rpcs[name] as Rpc<unknown, unknown> }, runtime);
  }
  server.addService(undecoded, handlers);
  return serviceName(definition);
}

/** The address is taken, or not one of this machine. */
export class ListenError extends Error {
  constructor(address: string, cause: Error) {
    super(`Cannot listen on ${address}: ${cause.message}`, { cause });
    this.name = 'ListenError';
  }
}

/** Binds to an address; returns the port, which the system chooses where it is 0. */
export function listen(server: Server, { host, port, tls }: { host: string; port: number; tls: TlsFiles | undefined }): Promise<number> {
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, serverCredentials(tls), (error, bound) => (error ? reject(new ListenError(address, error)) : resolve(bound)));
  });
}

/** Takes no new calls and waits for those in flight; ends what is still open after `patienceMs`. */
export function drain(server: Server, patienceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, patienceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** `/identity.v1.UserService/GetUser` → `identity.v1.UserService` */
function serviceName(definition: ServiceDefinition): string {
  return Object.values(definition)[0]?.path.split('/')[1] ?? '';
}
