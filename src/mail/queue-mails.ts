import type { EntityManager } from '@mikro-orm/postgresql';
import type { PublishedEventType } from '../audit/audit-event-types.ts';
import type { HandleEvents } from '../events/consume-events.ts';
import { dropFromPayload, type SeenEvent } from '../events/event.repository.ts';
import { type ActiveUser, findActiveUsers } from '../users/user.repository.ts';
import { insertMails, type NewMail } from './mail.repository.ts';
import type { MailTemplate } from './mail-templates.ts';

/** The operations on one-time tokens that mails need; `auth` provides them. */
export interface MailedTokens {
  /** Returns the ids of tokens in that order, of new ones or of some that are still fresh. At most one for each user and purpose. */
  issue(em: EntityManager, wanted: readonly WantedToken[], now: Date): Promise<string[]>;
  /**
   * Returns the secrets to write into the mails, by these ids; those are missing that were used in the
   * meantime.
   */
  reveal(em: EntityManager, ids: readonly string[]): Promise<ReadonlyMap<string, MailedSecret>>;
}

/** The links of mails about a change of the email; `auth` provides them. */
export interface MailedEmailChanges {
  /** By the ids of the changes, as they are now: a change that is pending has the one link, one that was confirmed the other, or it has none. */
  reveal(em: EntityManager, ids: readonly string[]): Promise<ReadonlyMap<string, EmailChangeLinks>>;
}

export interface EmailChangeLinks {
  readonly confirm?: EmailChangeLink;
  readonly revert?: EmailChangeLink;
}

/** A secret and the address that it goes to, which need not be the user's. */
export interface EmailChangeLink extends MailedSecret {
  readonly to: string;
}

/** Bounds on mails that strangers can ask for; `rate-limits` keeps them. */
export interface MailBounds {
  /** Counts a mail that was asked for at a moment; false where it would be one too many. */
  admits(em: EntityManager, template: MailTemplate, address: MailAddress, at: Date): Promise<boolean>;
}

/** An address that a mail goes to, and whether its user has proven to read it. */
export type MailAddress = Pick<ActiveUser, 'email' | 'verified'>;

export interface WantedToken {
  readonly userId: string;
  readonly purpose: MailedPurpose;
}

export interface MailedSecret {
  readonly secret: string;
  readonly expiresAt: Date;
}

export type MailedPurpose = 'email_verification' | 'password_reset' | 'login_code';

interface Recipe {
  readonly template: MailTemplate;
  readonly purpose?: MailedPurpose;
  /** True where the mail goes to the address that the event has, sealed, and not to that of the user. */
  readonly toRecipient?: true;
  /** True where it goes to the address that a change of the email asks for. */
  readonly toNewEmail?: true;
  /** Absent: each event of the type is told. */
  readonly isTold?: (payload: SeenEvent['payload']) => boolean;
}

/** The changes that are told by mail, some of them to two addresses. */
const RECIPES: Partial<Record<PublishedEventType, readonly Recipe[]>> = {
  'user.email_verification_requested': [{ template: 'verify-email', purpose: 'email_verification' }],
  'user.email_change_requested': [{ template: 'confirm-email-change', toNewEmail: true }],
  'user.email_changed': [{ template: 'revert-email-change' }, { template: 'email-changed' }],
  'user.email_change_reverted': [{ template: 'email-restored' }, { template: 'email-removed', toRecipient: true }],
  'user.username_changed': [{ template: 'username-changed' }],
  'user.password_reset_requested': [{ template: 'reset-password', purpose: 'password_reset' }],
  'user.login_code_requested': [{ template: 'login-code', purpose: 'login_code' }],
  'user.password_changed': [{ template: 'password-changed' }],
  'user.new_device': [{ template: 'new-device' }],
  'user.locked': [{ template: 'account-locked' }],
  'user.deleted': [{ template: 'account-erased', toRecipient: true }],
  'api_key.created': [{ template: 'api-key-created' }],
  'role.assigned': [{ template: 'admin-role-assigned', isTold: ({ administrative }) => administrative === 'true' }],
  'session.refresh_reused': [{ template: 'session-ended' }],
};

export const isToldByMail = (type: string): boolean => Object.hasOwn(RECIPES, type);

export interface QueueMailsDeps {
  readonly tokens: MailedTokens;
  readonly emailChanges: MailedEmailChanges;
  readonly bounds: MailBounds;
  readonly now: () => Date;
}

/** An event that is told by mail. */
interface Due {
  readonly event: SeenEvent;
  readonly recipe: Recipe;
  readonly userId: string;
}

/** The consumer `mail` of the events: turns changes into mails that are due. */
export function queueMails({ tokens, emailChanges, bounds, now }: QueueMailsDeps): HandleEvents {
  return async (em, events) => {
    const due = events.flatMap((event) => {
      const { type, userId, payload } = event;
      const recipes = userId == null || payload.withheld !== undefined ? [] : (RECIPES[type as PublishedEventType] ?? []);
      return recipes.filter(({ isTold }) => isTold?.(payload) ?? true).map((recipe) => ({ event, recipe, userId: userId as string }));
    });
    if (due.length === 0) return;
    const wanted = newestOfEachToken(await withinBounds(em, { bounds }, due, await addressesOf(em, { emailChanges }, due)));
    const tokenIds = await issueTokens(em, wanted, { tokens, now });
    const mails = wanted.map((it) => mailOf(it, tokenIds.get(it)));
    if (mails.length > 0) await insertMails(em, mails, now());
    // The address moves on from the event, which is kept for a while, to the mail, which is not.
    for (const { event } of due.filter(({ recipe }) => recipe.toRecipient)) await dropFromPayload(em, event.position, 'recipient');
  };
}

/** The addresses that mails go to. */
interface Addresses {
  readonly users: ReadonlyMap<string, ActiveUser>;
  /** By the ids of the changes. */
  readonly newEmails: ReadonlyMap<string, EmailChangeLinks>;
}

async function addressesOf(
  em: EntityManager,
  { emailChanges }: Pick<QueueMailsDeps, 'emailChanges'>,
  due: readonly Due[],
): Promise<Addresses> {
  const changeIds = due.flatMap(({ recipe, event }) => (recipe.toNewEmail ? [event.payload.email_change_id ?? ''] : []));
  return {
    users: await findActiveUsers(em, [...new Set(due.map(({ userId }) => userId))]),
    newEmails: await emailChanges.reveal(em, changeIds),
  };
}

const isOfErased = ({ event }: Due) => event.type === 'user.deleted';

/**
 * Those that are told, of which a stranger cannot have more sent than there may be. In the order of the events, by whose moments they count. One
 * whose address is nobody's any more is not told.
 */
async function withinBounds(
  em: EntityManager,
  { bounds }: Pick<QueueMailsDeps, 'bounds'>,
  due: readonly Due[],
  addresses: Addresses,
): Promise<Due[]> {
  const within: Due[] = [];
  for (const it of due) {
    const { recipe, event, userId } = it;
    const user = addresses.users.get(userId);
    const email = recipe.toNewEmail ? addresses.newEmails.get(event.payload.email_change_id ?? '')?.confirm?.to : user?.email;
    if (isOfErased(it)) within.push(it);
    else if (user && email !== undefined && isWanted(it, user)) {
      const address = { email, verified: user.verified };
      if (await bounds.admits(em, recipe.template, address, event.occurredAt)) within.push(it);
    }
  }
  return within;
}

/** A user who has confirmed their address is not asked to. */
function isWanted({ recipe }: Due, user: ActiveUser): boolean {
  return !(recipe.purpose === 'email_verification' && user.verified);
}

/** Those that come at the same time would have the same token: one mail says all of it. */
function newestOfEachToken(due: readonly Due[]): Due[] {
  const newest = new Map(due.map((it) => [it.recipe.purpose ? `${it.recipe.purpose} ${it.userId}` : it, it]));
  return [...newest.values()];
}

/** Returns the ids of the tokens that mails need. */
async function issueTokens(
  em: EntityManager,
  due: readonly Due[],
  { tokens, now }: Pick<QueueMailsDeps, 'tokens' | 'now'>,
): Promise<ReadonlyMap<Due, string | undefined>> {
  const needing = due.flatMap((it) => (it.recipe.purpose ? [{ it, userId: it.userId, purpose: it.recipe.purpose }] : []));
  if (needing.length === 0) return new Map();
  const ids = await tokens.issue(em, needing, now());
  return new Map(needing.map(({ it }, index) => [it, ids[index]]));
}

function mailOf(due: Due, tokenId: string | undefined): NewMail {
  const { recipe, event, userId } = due;
  const { session_id, email_change_id, recipient } = event.payload;
  const to: Record<string, string> = recipe.toRecipient && recipient !== undefined ? { recipient } : {};
  if (isOfErased(due)) return { template: recipe.template, userId: null, data: to };
  const data = {
    occurred_at: event.occurredAt.toISOString(),
    ...to,
    ...(session_id !== undefined && { session_id }),
    ...(email_change_id !== undefined && { email_change_id }),
    ...(tokenId !== undefined && { token_id: tokenId }),
  };
  return { template: recipe.template, userId, data };
}
