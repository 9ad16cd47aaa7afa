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

/** Bounds on mails that strangers can ask for; `rate-limits` keeps them. */
export interface MailBounds {
  /** Counts a mail that was asked for at a moment; false where it would be one too many. */
  admits(em: EntityManager, template: MailTemplate, email: string, at: Date): Promise<boolean>;
}

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
}

/** The changes that are told by mail. */
const RECIPES: Partial<Record<PublishedEventType, Recipe>> = {
  'user.email_verification_requested': { template: 'verify-email', purpose: 'email_verification' },
  'user.password_reset_requested': { template: 'reset-password', purpose: 'password_reset' },
  'user.login_code_requested': { template: 'login-code', purpose: 'login_code' },
  'user.password_changed': { template: 'password-changed' },
  'user.new_device': { template: 'new-device' },
  'user.locked': { template: 'account-locked' },
  'user.deleted': { template: 'account-erased' },
};

export const isToldByMail = (type: string): boolean => Object.hasOwn(RECIPES, type);

export interface QueueMailsDeps {
  readonly tokens: MailedTokens;
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
export function queueMails({ tokens, bounds, now }: QueueMailsDeps): HandleEvents {
  return async (em, events) => {
    const due = events.flatMap((event) => {
      const recipe = RECIPES[event.type as PublishedEventType];
      const isDue = event.userId != null && event.payload.withheld === undefined;
      return recipe && isDue ? [{ event, recipe, userId: event.userId ?? '' }] : [];
    });
    if (due.length === 0) return;
    const users = await findActiveUsers(em, [...new Set(due.map(({ userId }) => userId))]);
    const wanted = newestOfEachToken(await withinBounds(em, bounds, due, users));
    const tokenIds = await issueTokens(em, wanted, { tokens, now });
    const mails = wanted.map((it) => (isOfErased(it) ? mailToErased(it) : mailToUser(it, tokenIds.get(it))));
    if (mails.length > 0) await insertMails(em, mails, now());
    // The address moves on from the event, which is kept for a while, to the mail, which is not.
    for (const { event } of wanted.filter(isOfErased)) await dropFromPayload(em, event.position, 'recipient');
  };
}

const isOfErased = ({ event }: Due) => event.type === 'user.deleted';

/** Those that are told, of which a stranger cannot have more sent than there may be. In the order of the events, by whose moments they count. */
async function withinBounds(
  em: EntityManager,
  bounds: MailBounds,
  due: readonly Due[],
  users: ReadonlyMap<string, ActiveUser>,
): Promise<Due[]> {
  const within: Due[] = [];
  for (const it of due) {
    const user = users.get(it.userId);
    if (isOfErased(it)) within.push(it);
    else if (user && isWanted(it, user) && (await bounds.admits(em, it.recipe.template, user.email, it.event.occurredAt))) within.push(it);
  }
  return within;
}

/** A user who has confirmed their address is not asked to. */
function isWanted({ recipe }: Due, user: ActiveUser): boolean {
  return !(recipe.purpose === 'email_verification' && user.verified);
}

/** Those that come at the same time would have the same token: one mail says all of it. */
function newestOfEachToken(due: readonly Due[]): Due[] {
  const newest = new Map(due.map((it) => [it.recipe.purpose ? `${it.recipe.purpose} ${it.userId}` : it.event.position, it]));
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

function mailToErased({ recipe: { template }, event }: Due): NewMail {
  return { template, userId: null, data: { recipient: event.payload.recipient ?? '' } };
}

function mailToUser({ recipe: { template }, event, userId }: Due, tokenId: string | undefined): NewMail {
  const { session_id } = event.payload;
  const data = {
    occurred_at: event.occurredAt.toISOString(),
    ...(session_id !== undefined && { session_id }),
    ...(tokenId !== undefined && { token_id: tokenId }),
  };
  return { template, userId, data };
}
