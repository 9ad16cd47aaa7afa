/** Every kind of thing with which somebody gets in, or could. A new kind is named here, and ended in credentials.ts. */
export const CREDENTIAL_KINDS = ['password', 'sessions', 'api_keys', 'links', 'known_devices', 'device_tokens'] as const;

export type CredentialKind = (typeof CREDENTIAL_KINDS)[number];

/** Events that end credentials of a user. The audit trail names them as the reason. */
export type CredentialEvent = 'password_changed' | 'password_reset' | 'user_deactivated' | 'revoked';

/**
 * The kinds that each event ends (ASVS 7.4.2, 7.4.3). `links` are what mails let their reader do: reset links, verification links and login
 * codes that are still good. A deactivated account keeps its password and its keys, which do nothing until it is back. A reset ends the device
 * tokens, since whoever was in has one; who changes the password goes on on the same devices.
 */
export const ENDED_BY: Readonly<Record<CredentialEvent, readonly CredentialKind[]>> = {
  password_changed: ['sessions', 'api_keys', 'links'],
  password_reset: ['sessions', 'api_keys', 'links', 'device_tokens'],
  user_deactivated: ['sessions', 'links'],
  revoked: ['sessions', 'api_keys'],
};
