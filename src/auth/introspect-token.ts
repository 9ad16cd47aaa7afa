import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { Call } from '../rpc/call.ts';
import type { Permissions } from '../rpc/permissions.ts';
import type { Session } from '../sessions/session.entity.ts';
import { findSessionWithUser, touchSession } from '../sessions/session.repository.ts';
import { touchUser } from '../users/user.repository.ts';
import type { AccessClaims, AccessTokens } from './tokens/access-tokens.ts';

/** Activity is noted to the minute: more often would be a write for every request of every product. */
const ACTIVITY_RESOLUTION_MS = 60_000;

export const introspectTokenInput = z.object({ accessToken: z.string().min(1, 'is required') });

export interface IntrospectTokenDeps {
  readonly accessTokens: AccessTokens;
  /** What an active user may do. */
  readonly permissionsOf: (em: EntityManager, userId: string) => Promise<Permissions | undefined>;
}

/** An active token: what it says, and what its user is and may do now. */
export interface Introspection {
  readonly claims: AccessClaims;
  readonly roles: string[];
  readonly permissions: string[];
}

/** RFC 7662: the claims of a token that may be relied on now; undefined for any other, without a reason. */
export async function introspectToken(
  call: Call,
  { accessTokens, permissionsOf }: IntrospectTokenDeps,
  { accessToken }: z.output<typeof introspectTokenInput>,
): Promise<Introspection | undefined> {
  const now = call.now();
  const claims = accessTokens.verify(accessToken, now);
  if (!claims) return undefined;
  const session = await findSessionWithUser(call.em, claims.sid);
  if (!session?.isLive(now) || !session.user.active || session.user.id !== claims.sub) return undefined;
  const permissions = await permissionsOf(call.em, claims.sub);
  if (!permissions) return undefined;
  await noteActivity(call, session, now);
  return { claims, roles: session.user.roles ?? [], permissions: permissions.list() };
}

/** At most one write a minute for each: the statements check again, so parallel calls do not all write. */
async function noteActivity({ em }: Call, session: Session, now: Date): Promise<void> {
  const minuteAgo = new Date(now.getTime() - ACTIVITY_RESOLUTION_MS);
  if (session.user.lastLoginAt < minuteAgo) await touchUser(em, session.user.id, now, minuteAgo);
  if (session.lastActiveAt < minuteAgo) await touchSession(em, session.id, now, minuteAgo);
}
