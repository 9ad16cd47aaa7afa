import { BoundedMap } from '../concurrency/bounded-map.ts';
import type { ChangeTail } from '../events/change-tail.ts';

/** Of each kind, 1.5 kB each; what is beyond this is looked up again. */
const MAX_ENTRIES = 10_000;

/**
 * The credentials that callers are recognised by: an `authorization` header with a key, a certificate of a service
 * account.
 */
type Kind = 'header' | 'account';

/** Remembers what was looked up as long as nothing about authorization has changed anywhere (see events/authorization-epoch.entity.ts). */
export class EpochCache {
  readonly #tail: ChangeTail;
  readonly #entries: Readonly<Record<Kind, BoundedMap<string, unknown>>> = {
    header: new BoundedMap(MAX_ENTRIES),
    account: new BoundedMap(MAX_ENTRIES),
  };

  constructor(tail: ChangeTail) {
    this.#tail = tail;
    tail.onNewEpoch(() => {
      for (const remembered of Object.values(this.#entries)) remembered.clear();
    });
  }

  /** Returns the value that is remembered under the key, if it can be relied on now. */
  peek<T>(kind: Kind, key: string): T | undefined {
    return this.#tail.isCurrent() ? (this.#entries[kind].get(key) as T | undefined) : undefined;
  }

  /**
   * Returns the value that is remembered under the key, or else the one that `load` finds. If it finds none, nothing is
   * remembered.
   */
  async get<T>(kind: Kind, key: string, load: () => Promise<T | undefined>): Promise<T | undefined> {
    const remembered = this.peek<T>(kind, key);
    if (remembered !== undefined) return remembered;
    const { generation } = this.#tail;
    const loaded = await load();
    // Loaded while authorization changed: it may be from before.
    if (loaded !== undefined && generation === this.#tail.generation) this.#entries[kind].set(key, loaded);
    return loaded;
  }
}
