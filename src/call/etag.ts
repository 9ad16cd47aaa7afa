import { hash } from 'node:crypto';

/** A strong validator (AIP-154) over what the API shows of a resource: it changes exactly when that does. Opaque, 22 characters. */
export function strongEtag(visible: readonly unknown[]): string {
  return hash('sha256', JSON.stringify(visible), 'base64url').slice(0, 22);
}
