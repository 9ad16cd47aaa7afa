import {
  logVerbosity,
  type MethodDefinition,
  Server,
  type ServiceDefinition,
  setLogVerbosity,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { ListenError } from '../settings/start-error.ts';
import { Connections } from './connections.ts';
import type { GrpcSettings } from './grpc-settings.ts';
import { HALF_SENT_LIMITS, type HalfSentLimits, HalfSentRequests, rememberCall } from './half-sent.ts';
import { addressAt } from './peer.ts';
import type { Runtime } from './runtime.ts';
import { isStreamRpc, type StreamEndpoint, type StreamRpc, streamHandler } from './stream.ts';
import { serverCredentials } from './tls.ts';
import { tracedStream, tracedUnary } from './trace-call.ts';
import { refineTransportErrors } from './transport-errors.ts';
import { type Endpoint, type Rpc, unaryHandler } from './unary.ts';

/**
 * An upper bound on what is unpacked or, in a stream, kept of a request; MAX_REQUEST_BYTES is the limit that callers are told. In a stream, the
 * requests before one that is too large have still to be answered.
 */
const MAX_RECEIVE_BYTES = 4 * 1024 * 1024;

export interface ConnectionLimits {
  readonly halfSent: HalfSentLimits;
  readonly maxStreams: number;
  /** Connections are long-lived; ending them now and then lets load balancers spread them anew. */
  readonly maxAgeMs: number;
  /** In which calls in flight have to end then. */
  readonly maxAgeGraceMs: number;
  /** A connection whose other end is gone without a word is noticed after these two. */
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
}

const CONNECTION_LIMITS: ConnectionLimits = {
  halfSent: HALF_SENT_LIMITS,
  maxStreams: 1000,
  maxAgeMs: 30 * 60 * 1000,
  maxAgeGraceMs: 30 * 1000,
  keepaliveMs: 60 * 1000,
  keepaliveTimeoutMs: 20 * 1000,
};

type RequestOf<M> = M extends { requestDeserialize: (bytes: Buffer) => infer Request } ? Request : never;
type ResponseOf<M> = M extends { responseDeserialize: (bytes: Buffer) => infer Response } ? Response : never;

type RpcOf<M> = M extends { requestStream: true; responseStream: true }
  ? StreamRpc<RequestOf<M>, ResponseOf<M>>
  : Rpc<RequestOf<M>, ResponseOf<M>>;

/** One Rpc for every method of a generated service: a missing or a superfluous one does not compile. */
export type Rpcs<Definition> = { readonly [Name in keyof Definition]: RpcOf<Definition[Name]> };

export function createServer(connections: Partial<ConnectionLimits> = {}): Server {
  const limits = { ...CONNECTION_LIMITS, ...connections };
  // By itself grpc-js writes headers that it does not accept to the console, with what is in them: tokens, or forged log lines.
  setLogVerbosity(logVerbosity.NONE);
  return new Server({
    interceptors: [refineTransportErrors, rememberCall],
    // channelz keeps books on every call; nobody reads them here.
    'grpc.enable_channelz': 0,
    'grpc.max_receive_message_length': MAX_RECEIVE_BYTES,
    'grpc.max_concurrent_streams': limits.maxStreams,
    'grpc.max_connection_age_ms': limits.maxAgeMs,
    'grpc.max_connection_age_grace_ms': limits.maxAgeGraceMs,
    'grpc.keepalive_time_ms': limits.keepaliveMs,
    'grpc.keepalive_timeout_ms': limits.keepaliveTimeoutMs,
  });
}

/** A generated service together with what answers it. */
export interface Service {
  readonly definition: ServiceDefinition;
  readonly rpcs: Readonly<Record<string, Rpc<unknown, unknown> | StreamRpc<unknown, unknown>>>;
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
    const rpc = rpcs[name] as Service['rpcs'][string];
    handlers[name] = isStreamRpc(rpc) ? streamed({ method, access, rpc }, runtime) : unary({ method, access, rpc }, runtime);
  }
  server.addService(undecoded, handlers);
  return serviceName(definition);
}

/** Without a tracer, calls do not pass anything of tracing. */
function unary(endpoint: Endpoint<unknown, unknown>, runtime: Runtime) {
  const handler = unaryHandler(endpoint, runtime);
  return runtime.tracer ? tracedUnary(handler, endpoint.method.path, runtime.tracer) : handler;
}

function streamed(endpoint: StreamEndpoint<unknown, unknown>, runtime: Runtime) {
  const handler = streamHandler(endpoint, runtime);
  return runtime.tracer ? tracedStream(handler, endpoint.method.path, runtime.tracer) : handler;
}

/** A server that takes calls. */
export interface Listening {
  readonly port: number;
  /** Takes no new calls and waits for those in flight; ends what is still open after `limitMs`. Returns whether nothing was. */
  drain(limitMs: number): Promise<boolean>;
}

/** Binds to an address; where the port is 0, the system chooses one. */
export function listen(
  server: Server,
  { host, port, tls }: Omit<GrpcSettings, 'reflection'>,
  { halfSent = HALF_SENT_LIMITS }: Partial<ConnectionLimits> = {},
  services: readonly Service[] = [],
): Promise<Listening> {
  const address = addressAt(host, port);
  return new Promise((resolve, reject) => {
    server.bindAsync(address, serverCredentials(tls), (error, bound) => {
      if (error) return reject(new ListenError(address, error));
      const connections = new Connections(bound);
      const halfSentRequests = new HalfSentRequests(bound, halfSent, requestStreamsOf(services));
      const stop = (limitMs: number) => drain(server, connections, limitMs).finally(() => halfSentRequests.stop());
      resolve({ port: bound, drain: stop });
    });
  });
}

/**
 * Without channelz, grpc-js does not find its connections when it is to end them (forceShutdown), and a stream would stay open for ever. Its
 * `drain` finds them, and tells clients that their calls were cancelled: they would not try again elsewhere.
 */
function drain(server: Server, connections: Connections, limitMs: number): Promise<boolean> {
  connections.stop();
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      connections.destroy();
      resolve(false);
    }, limitMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

/** The paths of the RPCs that take many requests. */
function requestStreamsOf(services: readonly Service[]): ReadonlySet<string> {
  const methods = services.flatMap(({ definition }) => Object.values(definition));
  return new Set(methods.filter(({ requestStream }) => requestStream).map(({ path }) => path));
}

/** `/identity.v1.UserService/GetUser` → `identity.v1.UserService` */
function serviceName(definition: ServiceDefinition): string {
  return Object.values(definition)[0]?.path.split('/')[1] ?? '';
}
