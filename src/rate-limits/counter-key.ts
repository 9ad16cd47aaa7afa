import { createHmac } from 'node:crypto';

/** The key of a counter. It is hashed with a key, so that the table is no list of who was where. */
export function counterKey(hashKey: string, name: string, subject: string): string {
  return `${name}:${createHmac('sha256', hashKey).update(subject).digest('base64url')}`;
}
