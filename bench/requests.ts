import { AccessTokens } from '../src/auth/tokens/access-tokens.ts';
import { loadConfig } from '../src/config.ts';
import { IntrospectTokenRequest, LoginRequest, RefreshTokenRequest, RegisterRequest } from '../src/gen/identity/v1/auth_service.ts';
import { BatchGetUsersRequest, GetUserRequest, ListUsersRequest } from '../src/gen/identity/v1/user_service.ts';
import { COSTS, type Cost, costOf, emailOf, idOf, PASSWORD, refreshTokenOf } from './database/seed.ts';
import type { Target } from './load/connection.ts';
import type { Chain } from './load/load.ts';
import type { ServerProcess } from './servers/server-process.ts';

export const SECRET_KEY = 'a secret key that only the bench uses, 32+ bytes';

/** Enough different requests that nothing is answered from a cache that production would not have. */
const VARIETY = 5000;

/** Calls of one RPC. With a key, as a backend makes them: known to the service, and with a deadline. */
export function grpcTarget({ port }: ServerProcess, path: string, requests: Uint8Array[], apiKey?: string): Target {
  const headers = {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': path,
    ':authority': `127.0.0.1:${port}`,
    te: 'trailers',
    'grpc-timeout': '10S',
    'content-type': 'application/grpc',
    'user-agent': 'bench',
    ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
  };
  return { protocol: 'grpc', port, headers, requests };
}

export const CEILING_PATH = '/bench.Ceiling/Call';
export const INTROSPECT_TOKEN = '/identity.v1.AuthService/IntrospectToken';
export const LOGIN = '/identity.v1.AuthService/Login';
export const REGISTER = '/identity.v1.AuthService/Register';
export const REFRESH_TOKEN = '/identity.v1.AuthService/RefreshToken';
export const GET_CALLER = '/identity.v1.AuthService/GetCaller';
export const GET_USER = '/identity.v1.UserService/GetUser';
export const BATCH_GET_USERS = '/identity.v1.UserService/BatchGetUsers';
export const LIST_USERS = '/identity.v1.UserService/ListUsers';

/** User numbers from all over the table, in no order. The step is a prime, so none comes twice before all have come. */
export function someUsers(users: number, count = VARIETY): number[] {
  return Array.from({ length: Math.min(count, users) }, (_, index) => 1 + ((index * 104_729) % users));
}

export function someUsersOfCost(users: number, cost: Cost, count = VARIETY): number[] {
  return someUsers(users, Math.min(users, count * COSTS.length)).filter((n) => costOf(n) === cost);
}

const text = (value: string) => Buffer.from(value, 'latin1');

export const getUserRequests = (numbers: readonly number[]) =>
  numbers.map((n) => GetUserRequest.encode({ userId: idOf('user', n) }).finish());

export const sessionIdRequests = (numbers: readonly number[]) => numbers.map((n) => text(idOf('session', n)));

/** Each for the next `size` of the numbers. */
export function batchGetUsersRequests(numbers: readonly number[], size: number): Uint8Array[] {
  return Array.from({ length: Math.floor(numbers.length / size) }, (_, batch) => {
    const userIds = numbers.slice(batch * size, (batch + 1) * size).map((n) => idOf('user', n));
    return BatchGetUsersRequest.encode({ userIds }).finish();
  });
}

/** With tokens as Login issues them for the sessions that are there. */
export function introspectTokenRequests(numbers: readonly number[]): Uint8Array[] {
  const { jwt } = loadConfig({ JWT_SECRET_KEY: SECRET_KEY, ACCESS_TOKEN_TTL: '86400' });
  const accessTokens = new AccessTokens(jwt, SECRET_KEY);
  const now = new Date();
  return numbers.map((n) => {
    const subject = {
      userId: idOf('user', n),
      email: emailOf(n),
      sessionId: idOf('session', n),
      authMethods: ['pwd'],
      emailVerified: false,
      authTime: now,
      sessionEnd: new Date(now.getTime() + 86_400_000),
      clientId: undefined,
      roles: [],
    };
    return IntrospectTokenRequest.encode({ accessToken: accessTokens.issue(subject, now) }).finish();
  });
}

export const loginRequests = (numbers: readonly number[]) =>
  numbers.map((n) => LoginRequest.encode({ email: emailOf(n), username: undefined, password: PASSWORD, client: undefined }).finish());

/** Of people who are not there yet, as many as a run could ask for. */
export function registerRequests(prefix: string): Uint8Array[] {
  return Array.from({ length: VARIETY }, (_, n) => {
    const email = `${prefix}-${n}@example.com`;
    const profile = {
      firstName: 'New',
      fullName: '',
      lastName: undefined,
      bio: undefined,
      birthDate: undefined,
      avatarUrl: undefined,
      phone: undefined,
    };
    return RegisterRequest.encode({ email, password: PASSWORD, username: undefined, profile, client: undefined, requestId: '' }).finish();
  });
}

/** Each caller rotates the refresh token of a session of its own: the answer's tokens (1), refresh_token (4). */
export const REFRESH_CHAIN: Chain = { answerPath: [1, 4], requestOffset: 2 };

export const refreshTokenRequests = (numbers: readonly number[]) =>
  numbers.map((n) => RefreshTokenRequest.encode({ refreshToken: refreshTokenOf(n), client: undefined }).finish());

export interface Listing {
  readonly pageSize: number;
  readonly pageToken?: string;
  readonly query?: string;
  readonly role?: string;
  readonly emailVerified?: boolean;
}

export function listUsersRequest({ pageSize, pageToken = '', query = '', role = '', emailVerified }: Listing): Uint8Array {
  const filter = { query, role, emailVerified, active: undefined, locked: undefined };
  return ListUsersRequest.encode({ pageSize, pageToken, filter, orderBy: '' }).finish();
}
