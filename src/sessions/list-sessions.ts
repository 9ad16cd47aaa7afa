import { z } from 'zod';
import type { Call } from '../call/call.ts';
import { uuid } from '../call/validation.ts';
import { userNotFound } from '../users/user.errors.ts';
import { findUser } from '../users/user.repository.ts';
import type { Session } from './session.entity.ts';
import { findLiveSessions } from './session.repository.ts';

export const listSessionsInput = z.object({ userId: uuid });

export async function listSessions(call: Call, { userId }: z.output<typeof listSessionsInput>): Promise<Session[]> {
  if (!(await findUser(call.em, userId))) throw userNotFound();
  return findLiveSessions(call.em, userId, call.now());
}
