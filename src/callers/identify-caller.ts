import type { EntityManager } from '@mikro-orm/postgresql';
import { hashApiKey, isApiKey } from '../api-keys/api-key-format.ts';
import type { KeyUsage } from '../api-keys/key-usage.ts';
import { recogniseApiKey } from '../api-keys/recognise-api-key.ts';
import type { AccessTokens } from '../auth/tokens/access-tokens.ts';
import { callerUnauthenticated } from '../rpc/access.ts';
import { ANONYMOUS, type Caller } from '../rpc/call.ts';
import { findSessionWithUser } from '../sessions/session.repository.ts';
import { recogniseServiceAccount, recogniseUser } from './caller.repository.ts';
import type { EpochCache } from './epoch-cache.ts';

/** What a call says about who makes it. */
export interface Credentials {
  readonly authorization: string | undefined;
  /** DNS names in the subject alternative names of a client certificate that our CA has signed. */
  readonly certificateNames: readonly string[];
}

export interface IdentifyDeps {
  readonly cache: EpochCache;
  readonly accessTokens: AccessTokens;
  readonly keyUsage: KeyUsage;
  readonly now: () => Date;
}

/**
 * Who makes a call. Credentials that are given must be good: a wrong key is an error, never an anonymous call. The header goes before the
 * certificate, so that a backend with a certificate can pass on an end user's token.
 */
export async function identifyCaller(em: EntityManager, deps: IdentifyDeps, credentials: Credentials): Promise<Caller> {
  const { authorization, certificateNames } = credentials;
  if (authorization !== undefined) return (await byHeader(em, deps, authorization)) ?? refuse();
  if (certificateNames.length > 0) return (await byCertificate(em, deps, certificateNames)) ?? refuse();
  return ANONYMOUS;
}

function refuse(): never {
  throw callerUnauthenticated();
}

async function byHeader(em: EntityManager, deps: IdentifyDeps, authorization: string): Promise<Caller | undefined> {
  const token = /^Bearer ([\w.~+/=-]+)$/i.exec(authorization)?.[1];
  if (token === undefined) return undefined;
  return isApiKey(token) ? byApiKey(em, deps, token) : byAccessToken(em, deps, token);
}

async function byApiKey(em: EntityManager, { cache, keyUsage, now }: IdentifyDeps, key: string): Promise<Caller | undefined> {
  const hash = hashApiKey(key);
  const recognised = await cache.get(`key:${hash.toString('base64')}`, () => recogniseApiKey(em, hash, now()));
  if (!recognised || (recognised.expiresAt && recognised.expiresAt <= now())) return undefined;
  keyUsage.note(recognised.keyId, now());
  return recognised.caller;
}

async function byCertificate(em: EntityManager, { cache }: IdentifyDeps, names: readonly string[]): Promise<Caller | undefined> {
  for (const name of names) {
    const caller = await cache.get(`account:${name}`, () => recogniseServiceAccount(em, name));
    if (caller) return caller;
  }
  return undefined;
}

/** The session is looked up every time: a revoked one must not be able to do anything more. */
async function byAccessToken(em: EntityManager, { cache, accessTokens, now }: IdentifyDeps, token: string): Promise<Caller | undefined> {
  const claims = accessTokens.verify(token, now());
  if (!claims) return undefined;
  const session = await findSessionWithUser(em, claims.sid);
  if (!session?.isLive(now()) || !session.user.active || session.user.id !== claims.sub) return undefined;
  const permissions = await cache.get(`user:${claims.sub}`, () => recogniseUser(em, claims.sub));
  if (!permissions) return undefined;
  return { kind: 'user', userId: claims.sub, sessionId: claims.sid, permissions, actsForSelf: true };
}
