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

/**
 * The times at which sessions and users were last active: gathered in memory and written together (write-behind). Each in a transaction of its
 * own, so that neither kind of row is locked while the other is waited for.
 */
export class SessionActivity {
  /** By the ids of sessions, and of users who act without one. */
  readonly #noted = new BoundedMap<string, number>(REMEMBERED_SESSIONS);
  readonly #sessions: WriteBehind<Date>;
  readonly #users: WriteBehind<Date>;

  constructor(em: EntityManager) {
    this.#sessions = new WriteBehind(INTERVAL_MS, (moments) => noteActivity(em.fork(), moments, RESOLUTION_MS));
    this.#users = new WriteBehind(INTERVAL_MS, (moments) => noteLastLogin(em.fork(), moments, RESOLUTION_MS));
  }

  note({ id, userId, lastActiveAt }: ActiveSession, now: Date): void {
    if (!this.#isNews(id, now, lastActiveAt.getTime())) return;
    this.#sessions.add(id, now);
    this.#users.add(userId, now);
  }

  /** Notes what a user does without a session, by an API key of theirs. */
  noteUser(userId: string, now: Date): void {
    if (this.#isNews(userId, now, 0)) this.#users.add(userId, now);
  }

  async stop(): Promise<void> {
    await this.#sessions.stop();
    await this.#users.stop();
  }

  #isNews(id: string, now: Date, stored: number): boolean {
    if (now.getTime() - (this.#noted.get(id) ?? stored) <= RESOLUTION_MS) return false;
    this.#noted.set(id, now.getTime());
    return true;
  }
}
