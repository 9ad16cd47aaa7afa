import { hashApiKey, isApiKey } from '../access/api-keys/api-key-format.ts';
import type { KeyUsage } from '../access/api-keys/key-usage.ts';
import { hasExpired, type RecognisedApiKey } from '../access/api-keys/recognised-api-key.repository.ts';
import type { TokenIntrospection } from '../auth/introspection/token-introspection.ts';
import { callerUnauthenticated } from '../call/authorize.ts';
import { ANONYMOUS, type Caller, type Credentials } from '../call/call.ts';
import type { Awaitable } from '../concurrency/awaitable.ts';
import type { CoalescedReads } from '../concurrency/coalesced-reads.ts';
import type { EpochCache } from './epoch-cache.ts';
import type { KeyLookUps } from './key-look-ups.ts';

export interface IdentifyDeps {
  readonly introspection: TokenIntrospection;
  readonly now: () => Date;
  readonly cache: EpochCache;
  readonly keyLookUps: KeyLookUps;
  /** By their names. */
  readonly serviceAccounts: CoalescedReads<Caller>;
  readonly keyUsage: KeyUsage;
  readonly activity: { noteUser(userId: string, now: Date): void };
}

/**
 * Identifies the caller. Credentials that are given must be good: a wrong key is an error, never an anonymous call. The
 * header goes before the certificate, so that a backend with a certificate can pass on an end user's token. A key that
 * is remembered answers at once. Others are looked up once for all who come with them at the same time (request
 * coalescing); a caller who hangs up meanwhile does not stop that.
 */
export const callerIdentification =
  (deps: IdentifyDeps) =>
  (credentials: Credentials): Awaitable<Caller> => {
    const { authorization } = credentials;
    const known = authorization === undefined ? undefined : deps.cache.peek<RecognisedApiKey>('header', authorization);
    return (known && use(deps, known)) ?? lookUp(deps, credentials);
  };

async function lookUp(deps: IdentifyDeps, { authorization, certificateNames, peerAddress }: Credentials): Promise<Caller> {
  if (authorization !== undefined) return (await byHeader(deps, authorization, peerAddress)) ?? refuse();
  const names = certificateNames();
  if (names.length > 0) return (await byCertificate(deps, names)) ?? refuse();
  return ANONYMOUS;
}

/** Returns the caller that a key stands for, unless the key has expired. */
function use({ keyUsage, activity, now }: IdentifyDeps, key: RecognisedApiKey): Caller | undefined {
  const moment = now();
  if (hasExpired(key, moment)) return undefined;
  keyUsage.note(key.keyId, moment);
  if (key.caller.kind === 'user') activity.noteUser(key.caller.userId, moment);
  return key.caller;
}

function refuse(): never {
  throw callerUnauthenticated();
}

async function byHeader(deps: IdentifyDeps, authorization: string, peerAddress: () => string): Promise<Caller | undefined> {
  const token = /^Bearer ([\w.~+/=-]+)$/i.exec(authorization)?.[1];
  if (token === undefined) return undefined;
  if (!isApiKey(token)) return byAccessToken(deps, token);
  // By the header as it came: nothing has to be parsed or hashed for a call like the one before.
  const lookUp = () => deps.keyLookUps.get(hashApiKey(token).toString('hex'), peerAddress());
  const recognised = await deps.cache.get('header', authorization, lookUp);
  return recognised && use(deps, recognised);
}

async function byCertificate({ cache, serviceAccounts }: IdentifyDeps, names: readonly string[]): Promise<Caller | undefined> {
  for (const name of names) {
    const caller = await cache.get('account', name, () => serviceAccounts.get(name));
    if (caller) return caller;
  }
  return undefined;
}

async function byAccessToken(deps: IdentifyDeps, token: string): Promise<Caller | undefined> {
  const recognised = await deps.introspection.introspect(token);
  if (!recognised) return undefined;
  const { claims, authorization } = recognised;
  const { sub: userId, sid: sessionId, auth_time: authTime } = claims;
  return { kind: 'user', userId, sessionId, authTime, permissions: authorization.permissions, actsForSelf: true };
}
