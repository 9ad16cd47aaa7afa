import { defineEntity, p } from '@mikro-orm/postgresql';
import { id, insertedAt } from '../../database/columns.ts';
import { bumpEpoch } from '../../events/authorization-epoch.entity.ts';
import { ServiceAccountRole } from '../roles/service-account-role.entity.ts';

const ServiceAccountSchema = defineEntity({
  name: 'ServiceAccount',
  tableName: 'service_accounts',
  properties: {
    id: id(),
    name: p.string().length(64).unique('service_accounts_name_key'),
    description: p.string().length(500).default(''),
    active: p.boolean().name('is_active').default(true),
    createdAt: insertedAt(),
    roles: () => p.oneToMany(ServiceAccountRole).mappedBy('serviceAccount'),
  },
  triggers: [bumpEpoch('service_accounts_epoch', ['update', 'delete'])],
});

/** A program that calls this service. */
export class ServiceAccount extends ServiceAccountSchema.class {}
ServiceAccountSchema.setClass(ServiceAccount);
