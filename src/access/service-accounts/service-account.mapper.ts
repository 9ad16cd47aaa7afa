import type { ServiceAccount as ServiceAccountMessage } from '../../gen/identity/v1/service_account.ts';
import type { ServiceAccount } from './service-account.entity.ts';

export function toServiceAccountMessage({ id, name, description, roles }: ServiceAccount): ServiceAccountMessage {
  const names = roles.getItems().map(({ role }) => role.name);
  return { id, name, description, roles: names.sort() };
}
