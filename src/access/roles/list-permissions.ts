import { z } from 'zod';
import { KNOWN_PERMISSIONS } from './known-permissions.ts';

export const listPermissionsInput = z.custom<object>();

export interface Permission {
  readonly name: string;
  readonly description: string;
}

/** By name. */
export function listPermissions(): Permission[] {
  return [...KNOWN_PERMISSIONS].map(([name, description]) => ({ name, description })).sort((a, b) => (a.name < b.name ? -1 : 1));
}
