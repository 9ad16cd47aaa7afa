import { randomUUID } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { Call, Caller, DatabaseAccess } from './call.ts';
import { Permissions } from './permissions.ts';

/** The caller of what an operator or the service itself does: whoever can reach the database may do everything anyway. */
export const SYSTEM: Caller = { kind: 'service_account', id: '', name: 'system', permissions: new Permissions(['*']) };

/** A call that an operator makes on the machine itself. */
class SystemCall implements Call {
  readonly em: EntityManager;
  readonly access = { permission: '', selfPath: [], own: false, fresh: false, freshPaths: [] };
  readonly signal = new AbortController().signal;
  readonly requestId = randomUUID();
  readonly caller = SYSTEM;
  readonly peerAddress = '';

  constructor(em: EntityManager) {
    this.em = em.fork();
  }

  get db(): never {
    throw new Error('a call of the system has a unit of work alone');
  }

  readonly now = (): Date => new Date();

  uncancelled(): DatabaseAccess {
    return this;
  }
}

export function systemCall(em: EntityManager): Call {
  return new SystemCall(em);
}
