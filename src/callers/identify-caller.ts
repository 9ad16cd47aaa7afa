import { hashApiKey, isApiKey } from '../api-keys/api-key-format.ts';
import type { KeyUsage } from '../api-keys/key-usage.ts';
import { type RecognisedApiKey, recogniseApiKey } from '../api-keys/recognise-api-key.ts';
import { callerUnauthenticated } from '../rpc/access.ts';
import type { Awaitable } from '../rpc/awaitable.ts';
import { ANONYMOUS, type Call, type Caller } from '../rpc/call.ts';
import type { Credentials } from '../rpc/runtime.ts';
import { recogniseServiceAccount } from './caller.repository.ts';
import type { EpochCache } from './epoch-cache.ts';
import { type RecogniseAccessTokenDeps, recogniseAccessToken } from './recognise-access-token.ts';

export interface IdentifyDeps extends RecogniseAccessTokenDeps {
  readonly cache: EpochCache;
  readonly keyUsage: KeyUsage;
}

/**
 * Who makes a call. Credentials that are given must be good: a wrong key is an error, never an anonymous call. The header goes before the
 * certificate, so that a backend with a certificate can pass on an end user's token. A key that is remembered answers at once.
 */
export function identifyCaller(call: Call, deps: IdentifyDeps, credentials: Credentials): Awaitable<Caller> {
  const { authorization } = credentials;
  const known = authorization === undefined ? undefined : deps.cache.peek<RecognisedApiKey>('header', authorization);
  return (known && use(deps, known)) ?? lookUp(call, deps, credentials);
}

async function lookUp(call: Call, deps: IdentifyDeps, { authorization, certificateNames }: Credentials): Promise<Caller> {
  if (authorization !== undefined) return (await byHeader(call, deps, authorization)) ?? refuse();
  const names = certificateNames();
  if (names.length > 0) return (await byCertificate(call, deps, names)) ?? refuse();
  return ANONYMOUS;
}

/** Whom a key stands for, unless it has expired. */
function use({ keyUsage, now }: IdentifyDeps, { caller, keyId, expiresAt }: RecognisedApiKey): Caller | undefined {
  const moment = now();
  if (expiresAt && expiresAt <= moment) return undefined;
  keyUsage.note(keyId, moment);
  return caller;
}

function refuse(): never {
  throw callerUnauthenticated();
}

async function byHeader(call: Call, deps: IdentifyDeps, authorization: string): Promise<Caller | undefined> {
  const token = /^Bearer ([\w.~+/=-]+)$/i.exec(authorization)?.[1];
  if (token === undefined) return undefined;
  if (!isApiKey(token)) return byAccessToken(deps, token);
  // By the header as it came: nothing has to be parsed or hashed for a call like the one before.
  const load = () => recogniseApiKey(call.uncancelled(), hashApiKey(token), deps.now());
  const recognised = await deps.cache.get('header', authorization, load);
  return recognised && use(deps, recognised);
}

async function byCertificate(call: Call, { cache }: IdentifyDeps, names: readonly string[]): Promise<Caller | undefined> {
  for (const name of names) {
    const caller = await cache.get('account', name, () => recogniseServiceAccount(call.uncancelled(), name));
    if (caller) return caller;
  }
  return undefined;
}

async function byAccessToken(deps: IdentifyDeps, token: string): Promise<Caller | undefined> {
  const recognised = await recogniseAccessToken(deps, token);
  if (!recognised) return undefined;
  const { claims, standing } = recognised;
  return { kind: 'user', userId: claims.sub, sessionId: claims.sid, permissions: standing.permissions, actsForSelf: true };
}
