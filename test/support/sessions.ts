import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { Client } from '../../src/gen/identity/v1/client.ts';
import type { Tokens } from '../../src/gen/identity/v1/tokens.ts';
import { required } from './builders.ts';
import { expectStatus } from './expect-status.ts';
import type { TestService } from './service.ts';

export async function refresh({ auth }: TestService, refreshToken: string, client?: Partial<Client>): Promise<Tokens> {
  const { tokens } = await auth.refreshToken({ refreshToken, ...(client && { client }) });
  return required(tokens);
}

/** What may be stored of a token. */
export const sha256 = (text: string) => createHash('sha256').update(text).digest();

/** Refreshes several times, one after the other; returns the tokens of each. */
export async function refreshTimes(service: TestService, tokens: Tokens, times: number): Promise<Tokens[]> {
  const chain = [tokens];
  for (let time = 1; time <= times; time++) chain.push(await refresh(service, required(chain.at(-1)).refreshToken));
  return chain.slice(1);
}

/** The parts of a refresh token. */
export function partsOf(refreshToken: string): { family: string; secret: string; checksum: string } {
  const [family, secret, checksum, ...others] = refreshToken.split('.');
  expect(others).toEqual([]);
  return { family: required(family), secret: required(secret), checksum: required(checksum) };
}

/** Presents a token that gets nothing. */
export async function expectRefused({ auth }: TestService, refreshToken: string): Promise<void> {
  await expectStatus(auth.refreshToken({ refreshToken }), 'UNAUTHENTICATED', 'INVALID_REFRESH_TOKEN');
}

export async function isActive({ auth }: TestService, accessToken: string): Promise<boolean> {
  const { active, claims } = await auth.introspectToken({ accessToken });
  // Claims and `active` go together: a caller may look at either.
  expect(claims !== undefined).toBe(active);
  return active;
}

/** Neither of the tokens is worth anything any more. */
export async function expectDead(service: TestService, { accessToken, refreshToken }: Tokens): Promise<void> {
  expect(await isActive(service, accessToken)).toBe(false);
  await expectRefused(service, refreshToken);
}

/** Both of the tokens work; the refresh token is used up by this. Returns the next ones. */
export async function expectAlive(service: TestService, { accessToken, refreshToken }: Tokens): Promise<Tokens> {
  expect(await isActive(service, accessToken)).toBe(true);
  return refresh(service, refreshToken);
}

export interface SessionEvent {
  readonly type: string;
  readonly userId: string | null;
  readonly actor: string;
  readonly ipAddress: string | null;
  readonly reason: string | null;
}

/** What the audit trail says about the end of a session. */
export async function eventsOfSession({ database }: TestService, sessionId: string): Promise<SessionEvent[]> {
  const { rows } = await database.pool.query<SessionEvent>(
    `select type, user_id as "userId", actor, ip_address as "ipAddress", metadata->>'reason' as reason
     from audit_events where metadata->>'session_id' = $1 and type like 'session.%' order by occurred_at, type`,
    [sessionId],
  );
  return rows;
}

/** Why the session ended, by the audit trail: one reason for each `session.revoked`. */
export async function endingsOf(service: TestService, sessionId: string): Promise<(string | null)[]> {
  const events = await eventsOfSession(service, sessionId);
  return events.filter(({ type }) => type === 'session.revoked').map(({ reason }) => reason);
}
