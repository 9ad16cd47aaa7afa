import {
  type CallOptions,
  type Client,
  type ClientOptions,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { ApiKeyServiceClient, ApiKeyServiceService } from '../../src/gen/identity/v1/api_key_service.ts';
import { AuditServiceClient, AuditServiceService } from '../../src/gen/identity/v1/audit_service.ts';
import { AuthServiceClient, AuthServiceService } from '../../src/gen/identity/v1/auth_service.ts';
import { Client as ClientMessage } from '../../src/gen/identity/v1/client.ts';
import { Role } from '../../src/gen/identity/v1/role.ts';
import { RoleServiceClient, RoleServiceService } from '../../src/gen/identity/v1/role_service.ts';
import { ServiceAccountServiceClient, ServiceAccountServiceService } from '../../src/gen/identity/v1/service_account_service.ts';
import { SessionServiceClient, SessionServiceService } from '../../src/gen/identity/v1/session_service.ts';
import { Profile, User } from '../../src/gen/identity/v1/user.ts';
import { ListUsersRequest_Filter, UserServiceClient, UserServiceService } from '../../src/gen/identity/v1/user_service.ts';

export interface CallSettings {
  /** Sent as `authorization: Bearer …` instead of the client's own; null: nothing is sent. */
  readonly token?: string | null | undefined;
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
  readonly roles: Promised<RoleServiceClient>;
  readonly serviceAccounts: Promised<ServiceAccountServiceClient>;
  readonly apiKeys: Promised<ApiKeyServiceClient>;
  readonly audit: Promised<AuditServiceClient>;
  close(): void;
}

/**
 * Clients of a server; `token` goes with every call that brings none of its own. Clients with the same credentials and options share one
 * connection.
 */
export function connect(address: string, token?: string, channel = credentials.createInsecure(), options: ClientOptions = {}): Clients {
  const users = new UserServiceClient(address, channel, options);
  const auth = new AuthServiceClient(address, channel, options);
  const sessions = new SessionServiceClient(address, channel, options);
  const roles = new RoleServiceClient(address, channel, options);
  const serviceAccounts = new ServiceAccountServiceClient(address, channel, options);
  const apiKeys = new ApiKeyServiceClient(address, channel, options);
  const audit = new AuditServiceClient(address, channel, options);
  return {
    users: promised(users, UserServiceService, token),
    auth: promised(auth, AuthServiceService, token),
    sessions: promised(sessions, SessionServiceService, token),
    roles: promised(roles, RoleServiceService, token),
    serviceAccounts: promised(serviceAccounts, ServiceAccountServiceService, token),
    apiKeys: promised(apiKeys, ApiKeyServiceService, token),
    audit: promised(audit, AuditServiceService, token),
    close() {
      for (const client of [users, auth, sessions, roles, serviceAccounts, apiKeys, audit]) client.close();
    },
  };
}

function promised<C extends Client>(client: C, definition: ServiceDefinition, ownToken: string | undefined): Promised<C> {
  return new Proxy(client, {
    get: (_, name) => (request: object, settings?: CallSettings) =>
      unary(client, definition[String(name)] as MethodDefinition<object, unknown>, request, {
        ...settings,
        token: settings?.token === undefined ? ownToken : settings.token,
      }),
  }) as unknown as Promised<C>;
}

function unary(client: Client, method: MethodDefinition<object, unknown>, request: object, settings: CallSettings = {}): Promise<unknown> {
  const { token, metadata = {}, timeout, signal } = settings;
  const sent = new Metadata();
  for (const [key, value] of Object.entries(metadata)) sent.set(key, value);
  if (token !== undefined && token !== null) sent.set('authorization', `Bearer ${token}`);
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
  // `role` is a message in RoleService's requests, and a name elsewhere.
  role: Role,
};

/** The generated encoders expect every field; what a test leaves out gets the value that an absent field has. */
function complete(method: MethodDefinition<object, unknown>, request: object): object {
  return { ...method.requestDeserialize(Buffer.alloc(0)), ...completeNested(request) };
}

function completeNested(message: object): object {
  const fields = Object.entries(message).map(([name, value]) => {
    const type = NESTED[name];
    return [name, type && typeof value === 'object' ? { ...type.decode(new Uint8Array()), ...completeNested(value) } : value];
  });
  return Object.fromEntries(fields);
}
