import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from '../../database/columns.ts';
import { User } from '../../users/user.entity.ts';
import { attemptCounters } from './attempt-counters.entity.ts';

const DeviceTokenSchema = defineEntity({
  name: 'DeviceToken',
  tableName: 'device_tokens',
  properties: {
    /** SHA-256. */
    tokenHash: p.blob().$type<Buffer>().primary(),
    user: () => p.manyToOne(User).deleteRule('cascade').updateRule('no action').foreignKeyName('device_tokens_user_id_fkey'),
    createdAt: moment(),
    lastUsedAt: moment(),
    ...attemptCounters(),
    attemptedAt: moment().nullable(),
  },
  indexes: [
    { name: 'device_tokens_user_id_idx', properties: ['user'] },
    { name: 'device_tokens_last_used_at_idx', properties: ['lastUsedAt'] },
  ],
});

/** The proof of a device that its user has signed in on it before. Attempts with it have counters of their own. */
export class DeviceToken extends DeviceTokenSchema.class {}
DeviceTokenSchema.setClass(DeviceToken);
