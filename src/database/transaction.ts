import type { EntityManager } from '@mikro-orm/postgresql';
import { databaseFailure } from './sqlstate.ts';

const ATTEMPTS = 3;

/**
 * Runs `work` as one unit of work in one transaction, on a fork of its own with an empty identity map. Lost against a
 * concurrent transaction (SQLSTATE 40001, 40P01, optimistic lock), it is run again from the start; the last failure is
 * thrown.
 *
 * A change that must be kept although the call fails is committed first: `work` returns an outcome, and the use case
 * throws after it.
 */
export function transaction<T>(em: EntityManager, work: (em: EntityManager) => Promise<T>): Promise<T> {
  return untilNoConflict(() => em.fork().transactional(work));
}

/** The same for a statement that is its own transaction. */
export async function untilNoConflict<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === ATTEMPTS || databaseFailure(error)?.kind !== 'conflict') throw error;
    }
  }
}
