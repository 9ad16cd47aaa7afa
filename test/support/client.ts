import {
  type CallOptions,
  type Client,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { AuthServiceClient, AuthServiceService } from '../../src/gen/identity/v1/auth_service.ts';
import { Client as ClientMessage } from '../../src/gen/identity/v1/client.ts';
import { SessionServiceClient, SessionServiceService } from '../../src/gen/identity/v1/session_service.ts';
import { Profile, User } from '../../src/gen/identity/v1/user.ts';
import { ListUsersRequest_Filter, UserServiceClient, UserServiceService } from '../../src/gen/identity/v1/user_service.ts';

export interface CallSettings {
  /** Sent as `authorization: Bearer …`. */
  readonly token?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Milliseconds from now. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

type Callback<Response> = (error: ServiceError | null, response: Response) => void;

/** A generated client whose calls answer with promises; fields of a request that are left out are absent or empty, as on the wire. */
export type Promised<C> = {
  [Name in keyof C as C[Name] extends (...args: never[]) => unknown ? Name : never]: C[Name] extends (
    request: infer Request,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: Callback<infer Response>,
  ) => unknown
    ? (request: PartialMessage<Request>, settings?: CallSettings) => Promise<Response>
    : never;
};

type PartialMessage<T> = T extends Date | Buffer
  ? T
  : T extends (infer Item)[]
    ? PartialMessage<Item>[]
    : T extends object
      ? { [Name in keyof T]?: PartialMessage<T[Name]> }
      : T;

export interface Clients {
  readonly users: Promised<UserServiceClient>;
  readonly auth: Promised<AuthServiceClient>;
  readonly sessions: Promised<SessionServiceClient>;
  close(): void;
}

export function connect(address: string): Clients {
  const insecure = credentials.createInsecure();
  const users = new UserServiceClient(address, insecure);
  const auth = new AuthServiceClient(address, insecure);
  const sessions = new SessionServiceClient(address, insecure);
  return {
    users: promised(users, UserServiceService),
    auth: promised(auth, AuthServiceService),
    sessions: promised(sessions, SessionServiceService),
    close() {
      for (const client of [users, auth, sessions]) client.close();
    },
  };
}

function promised<C extends Client>(client: C, definition: ServiceDefinition): Promised<C> {
  return new Proxy(client, {
    get: (_, name) => (request: object, settings?: CallSettings) =>
      unary(client, definition[String(name)] as MethodDefinition<object, unknown>, request, settings),
  }) as unknown as Promised<C>;
}

function unary(client: Client, method: MethodDefinition<object, unknown>, request: object, settings: CallSettings = {}): Promise<unknown> {
  const { token, metadata = {}, timeout, signal } = settings;
  const sent = new Metadata();
  for (const [key, value] of Object.entries(metadata)) sent.set(key, value);
  if (token !== undefined) sent.set('authorization', `Bearer ${token}`);
  const options = timeout === undefined ? {} : { deadline: Date.now() + timeout };
  return new Promise((resolve, reject) => {
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      complete(method, request),
      sent,
      options,
      (error, response) => (error ? reject(error) : resolve(response)),
    );
    signal?.addEventListener('abort', () => call.cancel());
  });
}

const NESTED: Readonly<Record<string, { decode(bytes: Uint8Array): object }>> = {
  profile: Profile,
  client: ClientMessage,
  user: User,
  filter: ListUsersRequest_Filter,
};

/** The generated encoders expect every field; what a test leaves out gets the value that an absent field has. */
function complete(method: MethodDefinition<object, unknown>, request: object): object {
  return { ...method.requestDeserialize(Buffer.alloc(0)), ...completeNested(request) };
}

function completeNested(message: object): object {
  const fields = Object.entries(message).map(([name, value]) => {
    const type = NESTED[name];
    return [name, type && value !== undefined ? { ...type.decode(new Uint8Array()), ...completeNested(value) } : value];
  });
  return Object.fromEntries(fields);
}
