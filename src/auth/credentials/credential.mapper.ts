import { CredentialKind as KindMessage, type RevocationReceipt } from '../../gen/identity/v1/user_service.ts';
import { CREDENTIAL_KINDS, type CredentialKind } from './credential-policy.ts';
import type { EndedCredentials } from './credentials.ts';

const MESSAGES = {
  password: KindMessage.CREDENTIAL_KIND_PASSWORD,
  sessions: KindMessage.CREDENTIAL_KIND_SESSIONS,
  api_keys: KindMessage.CREDENTIAL_KIND_API_KEYS,
  links: KindMessage.CREDENTIAL_KIND_LINKS,
  known_devices: KindMessage.CREDENTIAL_KIND_KNOWN_DEVICES,
  device_tokens: KindMessage.CREDENTIAL_KIND_DEVICE_TOKENS,
  revert_links: KindMessage.CREDENTIAL_KIND_REVERT_LINKS,
} as const satisfies Record<CredentialKind, KindMessage>;

/** Undefined for a number that names no kind. */
export function toCredentialKind(message: KindMessage): CredentialKind | undefined {
  return CREDENTIAL_KINDS.find((kind) => MESSAGES[kind] === message);
}

export function toRevocationReceipt(userId: string, ended: EndedCredentials): RevocationReceipt {
  const revoked = CREDENTIAL_KINDS.flatMap((kind) => {
    const count = ended[kind];
    return count === undefined ? [] : [{ kind: MESSAGES[kind], count }];
  });
  return { userId, revoked };
}
