import type { EntityClass } from '@mikro-orm/postgresql';
import { openOrm } from './orm.ts';

/** Brings a schema up to date. Services do this only to the embedded database, which is theirs; for others, `npm run db:up` does. */
export async function migrateUp(url: string, entities: readonly EntityClass<object>[]): Promise<string[]> {
  const orm = await openOrm({ url, entities, patient: true });
  try {
    return (await orm.migrator.up()).map(({ name }) => name);
  } finally {
    await orm.close();
  }
}
