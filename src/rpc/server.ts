import {
  logVerbosity,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  setLogVerbosity,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { refineTransportErrors } from './transport-errors.ts';
import { type Rpc, type Runtime, unaryHandler } from './unary.ts';

/** An upper bound on what is buffered before a request is looked at; MAX_REQUEST_BYTES is the limit that callers are told. */
const MAX_RECEIVE_BYTES = 4 * 1024 * 1024;
const MAX_STREAMS_PER_CONNECTION = 1000;

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
  const undecoded: Record<string, MethodDefinition<Buffer, unknown>> = {};
  const handlers: UntypedServiceImplementation = {};
  for (const [name, method] of Object.entries(definition)) {
    undecoded[name] = { ...method, requestSerialize: (bytes) => bytes, requestDeserialize: (bytes) => bytes };
    handlers[name] = unaryHandler(method, rpcs[name] as Rpc<unknown, unknown>, runtime);
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
export function listen(server: Server, host: string, port: number): Promise<number> {
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(new ListenError(address, error)) : resolve(bound),
    );
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
