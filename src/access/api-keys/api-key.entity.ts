import { defineEntity, p } from '@mikro-orm/postgresql';
import { id, moment } from '../../database/columns.ts';
import { bumpEpoch } from '../../events/authorization-epoch.entity.ts';
import { User } from '../../users/user.entity.ts';
import { ServiceAccount } from '../service-accounts/service-account.entity.ts';

const ApiKeySchema = defineEntity({
  name: 'ApiKey',
  tableName: 'api_keys',
  properties: {
    id: id(),
    user: () => p.manyToOne(User).nullable().deleteRule('cascade').updateRule('no action').foreignKeyName('api_keys_user_id_fkey'),
    serviceAccount: () =>
      p
        .manyToOne(ServiceAccount)
        .nullable()
        .deleteRule('cascade')
        .updateRule('no action')
        .foreignKeyName('api_keys_service_account_id_fkey'),
    name: p.string().length(100),
    /** SHA-256 of the key, which itself is stored nowhere. */
    hash: p.blob().$type<Buffer>().name('key_hash').unique('api_keys_key_hash_key'),
    hint: p.string().length(16),
    scopes: p.array().columnType('text[]'),
    /**
     * The key of the same owner that has made this one, which ends with it. Not a reference: the keys of an owner go together.
     */
    parentId: p.uuid().nullable(),
    createdAt: moment(),
    expiresAt: moment().nullable(),
    lastUsedAt: moment().nullable(),
    revokedAt: moment().nullable(),
  },
  checks: [{ name: 'api_keys_owner_check', expression: 'num_nonnulls(user_id, service_account_id) = 1' }],
  indexes: [
    { name: 'api_keys_user_id_idx', properties: ['user'] },
    { name: 'api_keys_service_account_id_idx', properties: ['serviceAccount'] },
    { name: 'api_keys_parent_id_idx', properties: ['parentId'], where: 'parent_id is not null' },
  ],
  triggers: [
    bumpEpoch('api_keys_revoked_epoch', ['update'], '(old.revoked_at IS DISTINCT FROM new.revoked_at)'),
    bumpEpoch('api_keys_deleted_epoch', ['delete']),
  ],
});

/** A key of a service account or of a user. */
export class ApiKey extends ApiKeySchema.class {}
ApiKeySchema.setClass(ApiKey);
