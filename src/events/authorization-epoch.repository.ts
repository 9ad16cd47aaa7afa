import type { EntityManager } from '@mikro-orm/postgresql';

/**
 * Keeps everybody else from changing who may do what until the transaction ends: each such change writes this row before it is committed (see
 * authorization-epoch.entity.ts). Everything that is read from here on shows all changes that were committed before. Rows that the transaction
 * changes itself are locked before this one, as they are where a trigger writes it.
 */
export async function lockEpoch(em: EntityManager): Promise<void> {
  await em.execute('select 1 from authorization_epoch for update');
}
