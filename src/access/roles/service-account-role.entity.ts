import { defineEntity, p } from '@mikro-orm/postgresql';
import { bumpEpoch } from '../../events/authorization-epoch.entity.ts';
import { ServiceAccount } from '../service-accounts/service-account.entity.ts';
import { Role } from './role.entity.ts';

const ServiceAccountRoleSchema = defineEntity({
  name: 'ServiceAccountRole',
  tableName: 'service_account_roles',
  properties: {
    serviceAccount: () =>
      p
        .manyToOne(ServiceAccount)
        .primary()
        .deleteRule('cascade')
        .updateRule('no action')
        .foreignKeyName('service_account_roles_service_account_id_fkey'),
    role: () =>
      p.manyToOne(Role).primary().deleteRule('cascade').updateRule('no action').foreignKeyName('service_account_roles_role_id_fkey'),
  },
  indexes: [{ name: 'service_account_roles_role_id_idx', properties: ['role'] }],
  triggers: [bumpEpoch('service_account_roles_epoch', ['insert', 'update', 'delete'])],
});

/** A role that a service account has. */
export class ServiceAccountRole extends ServiceAccountRoleSchema.class {}
ServiceAccountRoleSchema.setClass(ServiceAccountRole);
