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

/** A single row; see events/authorization-epoch.ts. */
export class AuthorizationEpoch extends AuthorizationEpochSchema.class {}
AuthorizationEpochSchema.setClass(AuthorizationEpoch);
