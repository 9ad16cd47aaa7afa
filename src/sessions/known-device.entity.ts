import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from '../database/columns.ts';
import { User } from '../users/user.entity.ts';

const KnownDeviceSchema = defineEntity({
  name: 'KnownDevice',
  tableName: 'known_devices',
  properties: {
    user: () => p.manyToOne(User).primary().deleteRule('cascade').updateRule('no action').foreignKeyName('known_devices_user_id_fkey'),
    /** See device.ts. */
    deviceHash: p.blob().$type<Buffer>().primary(),
    firstSeenAt: moment(),
    lastSeenAt: moment(),
  },
  indexes: [{ name: 'known_devices_last_seen_at_idx', properties: ['lastSeenAt'] }],
});

/** A device on which a user has signed in. Outlives the sessions, so that coming back after a while is nothing new. */
export class KnownDevice extends KnownDeviceSchema.class {}
KnownDeviceSchema.setClass(KnownDevice);
