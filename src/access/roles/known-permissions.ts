import { nearestTo } from '../../call/nearest.ts';

/** Names that begin so are ours; all others belong to products. */
const OURS = 'identity.';

/** Every permission that this service asks for, and what its holder may do to anybody. A test holds it against the access options of the RPCs. */
export const KNOWN_PERMISSIONS: ReadonlyMap<string, string> = new Map([
  ['identity.api_keys.read', 'List the API keys of users and service accounts.'],
  ['identity.api_keys.write', 'Make and revoke API keys for users and service accounts.'],
  ['identity.audit.read', 'List audit events.'],
  ['identity.auth.login', 'Sign users in, refresh their tokens and sign them out.'],
  ['identity.auth.recover', 'Have mails sent that verify an address or reset a password, and pass on what is in them.'],
  ['identity.auth.register', 'Sign users up.'],
  ['identity.clients.vouch', 'Say from which address an end user comes: limits and the audit trail rely on it.'],
  ['identity.mail.bulk', 'Have mails sent to any number of different addresses.'],
  ['identity.passwords.write', 'Change the password of a user, with the current one.'],
  ['identity.roles.assign', 'Give roles to users and service accounts, and take them away.'],
  ['identity.roles.read', 'See roles and permissions, and who has them.'],
  ['identity.roles.write', 'Make, change and delete roles.'],
  ['identity.service_accounts.read', 'See service accounts.'],
  ['identity.service_accounts.write', 'Make and delete service accounts.'],
  ['identity.sessions.read', 'List the sessions of users.'],
  ['identity.sessions.revoke_every', 'End all sessions of all users.'],
  ['identity.sessions.write', 'End the sessions of users.'],
  ['identity.tokens.introspect', 'Find out what access tokens and API keys are worth.'],
  ['identity.users.delete', 'Erase users.'],
  ['identity.users.export', 'Hand out all that is held about a user.'],
  ['identity.users.import', 'Import users with their password hashes.'],
  ['identity.users.read', 'See, look up and list users.'],
  ['identity.users.write', 'Make, change, deactivate and unlock users, and take back their credentials.'],
]);

/** The fault of a name that would be ours and does not exist, with the one that was probably meant; undefined where there is none. */
export function problemOfPermission(name: string): string | undefined {
  if (!name.startsWith(OURS) || KNOWN_PERMISSIONS.has(name)) return undefined;
  return `is no permission of this service; the nearest one is ${nearestTo(name, KNOWN_PERMISSIONS.keys())}`;
}
