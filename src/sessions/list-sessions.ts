import { z } from 'zod';
import type { Call } from '../call/call.ts';
import { type Page, type PagingDeps, pageFields, readPage } from '../call/paging.ts';
import { uuid } from '../call/validation.ts';
import { userNotFound } from '../users/user.errors.ts';
import { findUser } from '../users/user.repository.ts';
import type { Session } from './session.entity.ts';
import { findLiveSessionPage } from './session.repository.ts';

export const listSessionsInput = z.object({ userId: uuid, ...pageFields });

export interface ListSessionsDeps extends PagingDeps {
  readonly sessionMaxAge: number;
}

/** The most recently active first. */
export async function listSessions(
  call: Call,
  deps: ListSessionsDeps,
  { userId, ...page }: z.output<typeof listSessionsInput>,
): Promise<Page<Session>> {
  if (!(await findUser(call.em, userId))) throw userNotFound();
  const { sessionMaxAge } = deps;
  const sessions = await readPage(call, deps, page, {
    rpc: 'ListSessions',
    filter: userId,
    cursorOf: ({ lastActiveAt, id }: Session) => [lastActiveAt.toISOString(), id],
    find: (after, limit) => findLiveSessionPage(call.em, { userId, now: call.now(), sessionMaxAge, after, limit }),
  });
  for (const session of sessions.rows) session.limitAge(sessionMaxAge);
  return sessions;
}
