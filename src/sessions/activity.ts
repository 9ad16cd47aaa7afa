import type { EntityManager } from '@mikro-orm/postgresql';
import { BoundedMap } from '../concurrency/bounded-map.ts';
import { WriteBehind } from '../concurrency/write-behind.ts';
import { noteLastLogin } from '../users/user.repository.ts';
import { noteActivity } from './session.repository.ts';

/**
 * The number of sessions that a replica remembers: their access tokens (1.0 kB each), that they are live and what their
 * users may do (0.45 kB), and the times of their last activity (0.16 kB). One of these without the others would save
 * little, so they have one bound: 80 MB where all of it is in use.
 */
export const REMEMBERED_SESSIONS = 50_000;

/** Activity is noted to the minute: more often would be a write for every request of every product. */
const RESOLUTION_MS = 60_000;
const INTERVAL_MS = 1000;

export interface ActiveSession {
  readonly id: string;
  readonly userId: string;
  readonly lastActiveAt: Date;
}

interface Activity {
  readonly userId: string;
  readonly at: Date;
}

/**
 * The times at which sessions and their users were last active: gathered in memory and written together (write-behind).
 */
export class SessionActivity {
  readonly #noted = new BoundedMap<string, number>(REMEMBERED_SESSIONS);
  readonly #writes: WriteBehind<Activity>;

  constructor(em: EntityManager) {
    this.#writes = new WriteBehind(INTERVAL_MS, (pending) => write(em, pending));
  }

  note({ id, userId, lastActiveAt }: ActiveSession, now: Date): void {
    const noted = this.#noted.get(id) ?? lastActiveAt.getTime();
    if (now.getTime() - noted <= RESOLUTION_MS) return;
    this.#noted.set(id, now.getTime());
    this.#writes.add(id, { userId, at: now });
  }

  stop(): Promise<void> {
    return this.#writes.stop();
  }
}

/** Two transactions, so that neither kind of row is locked while the other is waited for. */
async function write(em: EntityManager, activity: ReadonlyMap<string, Activity>): Promise<void> {
  const sessions = new Map([...activity].map(([id, { at }]) => [id, at]));
  const users = new Map([...activity.values()].map(({ userId, at }) => [userId, at]));
  await noteActivity(em.fork(), sessions, RESOLUTION_MS);
  await noteLastLogin(em.fork(), users, RESOLUTION_MS);
}
