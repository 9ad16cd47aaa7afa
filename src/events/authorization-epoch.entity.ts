import { defineEntity, p } from '@mikro-orm/postgresql';

const AuthorizationEpochSchema = defineEntity({
  name: 'AuthorizationEpoch',
  tableName: 'authorization_epoch',
  properties: {
    id: p.integer().primary().autoincrement(false),
    version: p.bigint('string').default('0'),
  },
  checks: [{ name: 'authorization_epoch_id_check', expression: 'id = 1' }],
});

/** A single row with the epoch. */
export class AuthorizationEpoch extends AuthorizationEpochSchema.class {}
AuthorizationEpochSchema.setClass(AuthorizationEpoch);

/**
 * The epoch of authorization: a number in the database that changes with every transaction that changes who may do what. Replicas keep
 * callers and permissions in memory as long as it stays the same.
 *
 * The number is the id of the changing transaction, so that a transaction that touches a thousand rows writes it once; two changes wait for
 * each other at this row, so no reader can see the second without the first.
 */
const BODY =
  'update authorization_epoch set version = pg_current_xact_id()::text::bigint where version <> pg_current_xact_id()::text::bigint; RETURN NULL';

/**
 * A trigger that begins a new epoch. It is in the database, so that no SQL past this service can go unnoticed. `when` is spelled as
 * PostgreSQL spells it back, or entities and schema would seem to differ.
 */
export function bumpEpoch(name: string, events: ('insert' | 'update' | 'delete')[], when?: string) {
  return { name, timing: 'after' as const, events, forEach: 'row' as const, body: BODY, ...(when === undefined ? {} : { when }) };
}
