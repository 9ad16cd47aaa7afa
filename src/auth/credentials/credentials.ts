import type { EntityManager } from '@mikro-orm/postgresql';
import { revokeApiKeysOfUser } from '../../access/api-keys/revoke-api-key.ts';
import { requireMayActOn } from '../../access/roles/grants.ts';
import type { Call } from '../../call/call.ts';
import { endSessions } from '../../sessions/end-sessions.ts';
import { deleteKnownDevices } from '../../sessions/known-device.repository.ts';
import type { User } from '../../users/user.entity.ts';
import { deleteConfirmedChanges, deletePendingChange } from '../email-change/email-change.repository.ts';
import { deleteDeviceTokens } from '../lockout/device-token.repository.ts';
import { deleteTokens } from '../one-time-tokens/one-time-token.repository.ts';
import { TOKEN_PURPOSES } from '../one-time-tokens/one-time-token-policy.ts';
import { deletePasswordHistory } from '../passwords/password-history.repository.ts';
import { type CredentialEvent, type CredentialKind, ENDED_BY } from './credential-policy.ts';

/** The credentials of a user that are to end; the user is locked. */
export interface Ending {
  readonly user: User;
  /** The reason for the audit trail. */
  readonly reason: string;
  /** A session that goes on: the one in which the user asks for it. */
  readonly exceptSessionId?: string | undefined;
  /** A link that goes on: the one that the user has just opened. */
  readonly exceptTokenId?: string | undefined;
}

/** Ends what a user has of one kind; returns how many there were. */
type End = (em: EntityManager, call: Call, ending: Ending) => Promise<number>;

const END: Readonly<Record<CredentialKind, End>> = {
  async password(em, _call, { user }) {
    await deletePasswordHistory(em, user.id);
    await em.populate(user, ['passwordHash']);
    if (user.passwordHash == null) return 0;
    user.passwordHash = null;
    // Read along with the user, so that an answer would still say so.
    user.hasPassword = false;
    return 1;
  },
  sessions: (em, call, { user, reason, exceptSessionId }) => endSessions(em, call, user.id, reason, exceptSessionId),
  api_keys: (em, call, { user, reason }) => revokeApiKeysOfUser(em, call, user.id, reason),
  async links(em, _call, { user, exceptTokenId }) {
    return (await deleteTokens(em, user.id, TOKEN_PURPOSES, exceptTokenId)) + (await deletePendingChange(em, user.id));
  },
  known_devices: (em, _call, { user }) => deleteKnownDevices(em, user.id),
  device_tokens: (em, _call, { user }) => deleteDeviceTokens(em, user.id),
  revert_links: (em, _call, { user }) => deleteConfirmedChanges(em, user.id),
};

/** The number of credentials of each kind that have ended. */
export type EndedCredentials = Partial<Record<CredentialKind, number>>;

/** Ends the given kinds, in the transaction of what asks for it. */
export async function endCredentials(
  em: EntityManager,
  call: Call,
  kinds: readonly CredentialKind[],
  ending: Ending,
): Promise<EndedCredentials> {
  const ended: EndedCredentials = {};
  for (const kind of kinds) ended[kind] = await END[kind](em, call, ending);
  return ended;
}

export interface EventOptions extends Pick<Ending, 'exceptSessionId' | 'exceptTokenId'> {
  /** Kinds that the caller wants to keep. */
  readonly keep?: readonly CredentialKind[];
}

/** Ends what an event ends, by the table of the policy. */
export function endCredentialsBy(
  em: EntityManager,
  call: Call,
  event: CredentialEvent,
  user: User,
  { keep = [], ...exceptions }: EventOptions = {},
): Promise<EndedCredentials> {
  const kinds = ENDED_BY[event].filter((kind) => !keep.includes(kind));
  return endCredentials(em, call, kinds, { user, reason: event, ...exceptions });
}

/**
 * Ends the sessions of a user and, where asked to, their API keys; returns how many sessions. To sign somebody out gives nobody anything, but
 * the keys of a user are not ended by who could not revoke each of them.
 */
export async function endAllSessions(
  em: EntityManager,
  call: Call,
  user: User,
  { exceptSessionId, apiKeys }: { readonly exceptSessionId: string | undefined; readonly apiKeys: boolean },
): Promise<number> {
  if (apiKeys) await requireMayActOn(em, call, { userId: user.id });
  const ended = await endCredentialsBy(em, call, 'revoked', user, { exceptSessionId, keep: apiKeys ? [] : ['api_keys'] });
  return ended.sessions ?? 0;
}
