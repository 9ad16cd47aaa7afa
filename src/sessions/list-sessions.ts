import { z } from 'zod';
import type { Call } from '../call/call.ts';
import { uuid } from '../call/validation.ts';
import { userNotFound } from '../users/user.errors.ts';
import { findUser } from '../users/user.repository.ts';
import type { Session } from './session.entity.ts';
import { findLiveSessions } from './session.repository.ts';

export const listSessionsInput = z.object({ userId: uuid });

export interface ListSessionsDeps {
  readonly sessionMaxAge: number;
}

export async function listSessions(
  call: Call,
  { sessionMaxAge }: ListSessionsDeps,
  { userId }: z.output<typeof listSessionsInput>,
): Promise<Session[]> {
  if (!(await findUser(call.em, userId))) throw userNotFound();
  const now = call.now();
  const sessions = await findLiveSessions(call.em, userId, now);
  for (const session of sessions) session.limitAge(sessionMaxAge);
  return sessions.filter((session) => session.isLive(now));
}
