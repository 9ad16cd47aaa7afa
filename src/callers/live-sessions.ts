import { BoundedMap } from '../bounded-map.ts';
import type { ChangeTail } from './change-tail.ts';

/** What has to be known of a session to rely on a token of it. */
export interface LiveSession {
  readonly id: string;
  readonly userId: string;
  readonly expiresAt: Date;
  readonly lastActiveAt: Date;
}

type FindLiveSession = (id: string, now: Date) => Promise<LiveSession | undefined>;

/** A session that is being looked up. An event that concerns it meanwhile makes the answer outdated: it may be from before. */
interface Loading {
  readonly session: Promise<LiveSession | undefined>;
  outdated: boolean;
}

/** About 10 MB. */
const MAX_ENTRIES = 50_000;

/**
 * Remembers which sessions are live, so that checking a token costs no query. A session that ends anywhere is forgotten as soon as its event
 * arrives; while the events are late, nothing is relied on.
 */
export class LiveSessions {
  readonly #find: FindLiveSession;
  readonly #tail: ChangeTail;
  readonly #sessions = new BoundedMap<string, LiveSession>(MAX_ENTRIES);
  readonly #loading = new Map<string, Loading>();

  constructor(find: FindLiveSession, tail: ChangeTail) {
    this.#find = find;
    this.#tail = tail;
    tail.onEvent(({ type, userId, payload }) => {
      if (type === 'session.revoked' && payload.session_id !== undefined) this.#forget(payload.session_id);
      else if ((type === 'user.deactivated' || type === 'user.deleted') && userId != null) this.#forgetUser(userId);
    });
  }

  /** The session, if it is remembered and that can be relied on now. */
  peek(id: string, now: Date): LiveSession | undefined {
    const session = this.#tail.isCurrent() ? this.#sessions.get(id) : undefined;
    return session && session.expiresAt.getTime() > now.getTime() ? session : undefined;
  }

  /** The session, unless it has ended. It is looked up once for all who ask at the same time. */
  async get(id: string, now: Date): Promise<LiveSession | undefined> {
    const remembered = this.peek(id, now);
    if (remembered) return remembered;
    const loading = this.#loading.get(id);
    return (loading && !loading.outdated ? loading : this.#load(id, now)).session;
  }

  #load(id: string, now: Date): Loading {
    const loading: Loading = { outdated: false, session: this.#find(id, now) };
    this.#loading.set(id, loading);
    const end = (session?: LiveSession) => {
      if (this.#loading.get(id) === loading) this.#loading.delete(id);
      if (session && !loading.outdated) this.#sessions.set(id, session);
    };
    loading.session.then(end, () => end());
    return loading;
  }

  #forget(id: string): void {
    this.#sessions.delete(id);
    const loading = this.#loading.get(id);
    if (loading) loading.outdated = true;
  }

  /** Rare, so it may look at all of them. */
  #forgetUser(userId: string): void {
    for (const [id, session] of this.#sessions) if (session.userId === userId) this.#sessions.delete(id);
    for (const loading of this.#loading.values()) loading.outdated = true;
  }
}
