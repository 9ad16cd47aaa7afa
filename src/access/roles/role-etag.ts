import { hash } from 'node:crypto';
import type { Role } from './role.entity.ts';

/** A strong validator (AIP-154) over all that the API shows of a role. */
export function roleEtagOf(role: Role): string {
  return hash('sha256', JSON.stringify([role.id, role.name, role.description, role.permissionNames()]), 'base64url').slice(0, 22);
}
