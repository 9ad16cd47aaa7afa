import { hash } from 'node:crypto';
import type { Client } from '../call/client.ts';

/**
 * Tells one device of a user from another, as well as that can be told: by its name, and by the user agent without its version numbers, which
 * change with every update. Undefined where nothing is known of it.
 */
export function deviceHashOf({ deviceName, userAgent }: Client): Buffer | undefined {
  if (deviceName === undefined && userAgent === undefined) return undefined;
  return hash('sha256', JSON.stringify([deviceName ?? '', userAgent?.replace(/\d+([._]\d+)*/g, '') ?? '']), 'buffer');
}
