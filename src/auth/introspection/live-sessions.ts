import type { Permissions } from '../../call/permissions.ts';
import type { Awaitable } from '../../concurrency/awaitable.ts';
import { BoundedMap } from '../../concurrency/bounded-map.ts';
import { CoalescedReads, type FindAll } from '../../concurrency/coalesced-reads.ts';
import type { ChangeTail } from '../../events/change-tail.ts';
import { REMEMBERED_SESSIONS } from '../../sessions/activity.ts';

const REMEMBERED_ENDED = 10_000;

/** The facts about a session that it takes to rely on a token of it. */
export interface LiveSession {
  readonly id: string;
  readonly userId: string;
  readonly expiresAt: Date;
  readonly lastActiveAt: Date;
  readonly emailVerified: boolean;
  readonly authorization: UserAuthorization;
}

/** The roles and permissions of the user of a session. */
export interface UserAuthorization {
  /** Names, sorted. */
  readonly roles: readonly string[];
  readonly permissions: Permissions;
}

/** Events after which the sessions of a user have ended, or are known with something that has changed. */
const CONCERNS_USER: ReadonlySet<string> = new Set([
  'user.deactivated',
  'user.deleted',
  'user.email_verified',
  'user.email_changed',
  'user.email_change_reverted',
]);

/**
 * Remembers the sessions that are live and what their users may do, so that checking a token costs no query. A session
 * that ends anywhere is forgotten as soon as its event arrives, all of them when anything about authorization has
 * changed; while the answers about that are late, nothing is relied on.
 */
export class LiveSessions {
  readonly #find: FindAll<LiveSession>;
  readonly #tail: ChangeTail;
  readonly #sessions = new BoundedMap<string, LiveSession>(REMEMBERED_SESSIONS);
  /** Sessions that were found to have ended: they stay so, and an old token is refused without another query. */
  readonly #ended = new BoundedMap<string, true>(REMEMBERED_ENDED);
  readonly #lookUps = new CoalescedReads<LiveSession>((ids) => this.#lookUp(ids));
  /** For each query under way, which of its answers may be remembered: not those that a change concerns meanwhile, they may be from before. */
  readonly #awaited = new Set<Set<string>>();

  constructor(find: FindAll<LiveSession>, tail: ChangeTail) {
    this.#find = find;
    this.#tail = tail;
    tail.onNewEpoch(() => this.#forgetAll());
    tail.onEvent(({ type, userId, payload }) => {
      if (type === 'session.revoked' && payload.session_id !== undefined) this.#forget(payload.session_id);
      else if (type === 'session.all_revoked') this.#forgetAll();
      else if (CONCERNS_USER.has(type) && userId != null) this.#forgetUser(userId);
    });
  }

  /** Returns the session, unless it has ended. One that is remembered is there at once. */
  get(id: string, now: Date): Awaitable<LiveSession | undefined> {
    const isCurrent = this.#tail.isCurrent();
    const remembered = isCurrent ? this.#sessions.get(id) : undefined;
    if (!remembered && isCurrent && this.#ended.has(id)) return undefined;
    return unlessExpired(remembered, now) ?? this.#lookUps.get(id).then((found) => unlessExpired(found, now));
  }

  async #lookUp(ids: readonly string[]): Promise<ReadonlyMap<string, LiveSession>> {
    const awaited = new Set(ids);
    this.#awaited.add(awaited);
    try {
      const sessions = await this.#find(ids);
      for (const id of awaited) this.#remember(id, sessions.get(id));
      return sessions;
    } finally {
      this.#awaited.delete(awaited);
    }
  }

  #remember(id: string, found: LiveSession | undefined): void {
    if (found) this.#sessions.set(id, found);
    else this.#ended.set(id, true);
  }

  #forget(id: string): void {
    this.#sessions.delete(id);
    for (const awaited of this.#awaited) awaited.delete(id);
  }

  /** Rare beside introspection, so it may look at all of them. */
  #forgetUser(userId: string): void {
    for (const [id, session] of this.#sessions) if (session.userId === userId) this.#sessions.delete(id);
    for (const awaited of this.#awaited) awaited.clear();
  }

  #forgetAll(): void {
    this.#sessions.clear();
    this.#ended.clear();
    for (const awaited of this.#awaited) awaited.clear();
  }
}

function unlessExpired(session: LiveSession | undefined, now: Date): LiveSession | undefined {
  return session && session.expiresAt > now ? session : undefined;
}
