/** Every kind of thing with which somebody gets in, or could. A new kind is named here, and ended in credentials.ts. */
export const CREDENTIAL_KINDS = ['password', 'sessions', 'api_keys', 'links', 'known_devices', 'device_tokens', 'revert_links'] as const;

export type CredentialKind = (typeof CREDENTIAL_KINDS)[number];

/** Events that end credentials of a user. The audit trail names them as the reason. */
export type CredentialEvent =
  | 'password_changed'
  | 'password_reset'
  | 'mailbox_proved'
  | 'email_changed'
  | 'email_change_reverted'
  | 'user_deactivated'
  | 'revoked';

/** An earlier address undoes a change of the email with these: whoever could end them could keep what they took. */
const ALL_BUT_REVERT_LINKS = CREDENTIAL_KINDS.filter((kind) => kind !== 'revert_links');

/**
 * The kinds that each event ends (ASVS 7.4.2, 7.4.3). `links` are what mails let their reader do: reset links, verification links, login
 * codes and confirmations of a new address that are still good. A deactivated account keeps its password and its keys, which do nothing until
 * it is back. A reset ends the device tokens, since whoever was in has one; who changes the password goes on on the same devices.
 * `mailbox_proved` is the first proof of an account that was never verified: until then, somebody else may have set up any of it (ADR 18).
 * Somebody who undoes a change of the email says that another was in: all ends that they may have.
 */
export const ENDED_BY: Readonly<Record<CredentialEvent, readonly CredentialKind[]>> = {
  password_changed: ['sessions', 'api_keys', 'links'],
  password_reset: ['sessions', 'api_keys', 'links', 'device_tokens'],
  mailbox_proved: ALL_BUT_REVERT_LINKS,
  email_changed: ['sessions', 'links'],
  email_change_reverted: ALL_BUT_REVERT_LINKS,
  user_deactivated: ['sessions', 'links'],
  revoked: ['sessions', 'api_keys'],
};
