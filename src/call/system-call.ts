import { randomUUID } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { Call } from './call.ts';
import { Permissions } from './permissions.ts';

/** A call that an operator makes on the machine itself: whoever can reach the database may do everything anyway. */
export function systemCall(em: EntityManager): Call {
  return {
    em: em.fork(),
    signal: new AbortController().signal,
    requestId: randomUUID(),
    caller: { kind: 'service_account', id: '', name: 'system', permissions: new Permissions(['*']) },
    peerAddress: '',
    now: () => new Date(),
    uncancelled: () => em.fork(),
  };
}
