import type { EntityManager } from '@mikro-orm/postgresql';
import { actorOf, type Call } from '../call/call.ts';
import type { IdentityError } from '../call/errors.ts';
import { BoundedMap } from '../concurrency/bounded-map.ts';
import { transaction } from '../database/transaction.ts';
import type { Log } from '../observability/log.ts';
import { record } from './audit-log.ts';

/** A caller that is refused on every call is one fact, not a thousand a second. */
const EVERY_MS = 60_000;
const MAX_REMEMBERED = 10_000;

/** Writes down which calls were refused, for whom and why: at most once a minute for the same caller, address, RPC and reason. */
export class RefusedCalls {
  readonly #em: EntityManager;
  readonly #log: Log;
  readonly #noted = new BoundedMap<string, number>(MAX_REMEMBERED);

  constructor(em: EntityManager, log: Log) {
    this.#em = em;
    this.#log = log;
  }

  /** Does not keep the caller waiting. */
  readonly note = (call: Call, rpc: string, { reason }: IdentityError): void => {
    const key = [actorOf(call), call.peerAddress, rpc, reason].join(' ');
    const now = performance.now();
    if (now - (this.#noted.get(key) ?? Number.NEGATIVE_INFINITY) < EVERY_MS) return;
    this.#noted.set(key, now);
    this.#write(call, rpc, reason).catch(() => this.#log.warn('a refused call could not be written to the audit trail'));
  };

  async #write(call: Call, rpc: string, reason: string): Promise<void> {
    const client = { ipAddress: call.peerAddress.length <= 45 ? call.peerAddress : undefined };
    const userId = call.caller.kind === 'user' ? { userId: call.caller.userId } : {};
    await transaction(this.#em, async (em) => record(em, call, { type: 'call.refused', ...userId, client, metadata: { rpc, reason } }));
  }
}
