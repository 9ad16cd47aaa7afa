import type { EntityManager } from '@mikro-orm/postgresql';
import type { HandleEvents } from '../events/consume-events.ts';
import type { Event } from '../events/event.entity.ts';
import type { EventType } from '../events/event-types.ts';
import { type ActiveUser, findActiveUsers } from '../users/user.repository.ts';
import { Mail } from './mail.entity.ts';
import type { MailTemplate } from './mail-templates.ts';

/** What mails need of one-time tokens; `auth` provides it. */
export interface MailedTokens {
  /** Makes one, in the place of an older one; returns its id. */
  issue(em: EntityManager, userId: string, purpose: MailedPurpose, now: Date): Promise<string>;
  /** What to write into the mail; undefined where it was used or replaced in the meantime. */
  reveal(em: EntityManager, id: string): Promise<{ readonly secret: string; readonly expiresAt: Date } | undefined>;
}

export type MailedPurpose = 'email_verification' | 'password_reset' | 'login_code';

interface Recipe {
  readonly template: MailTemplate;
  readonly purpose?: MailedPurpose;
}

/** Which changes are told by mail. */
const RECIPES: Partial<Record<EventType, Recipe>> = {
  'user.email_verification_requested': { template: 'verify-email', purpose: 'email_verification' },
  'user.password_reset_requested': { template: 'reset-password', purpose: 'password_reset' },
  'user.login_code_requested': { template: 'login-code', purpose: 'login_code' },
  'user.password_changed': { template: 'password-changed' },
  'user.new_device': { template: 'new-device' },
  'user.locked': { template: 'account-locked' },
  'user.deleted': { template: 'account-erased' },
};

export interface QueueMailsDeps {
  readonly tokens: MailedTokens;
  readonly now: () => Date;
}

/** The consumer `mail` of the events: turns changes into mails that are due. */
export function queueMails({ tokens, now }: QueueMailsDeps): HandleEvents {
  return async (em, events) => {
    const due = events.flatMap((event) => {
      const recipe = RECIPES[event.type as EventType];
      return recipe && event.userId != null ? [{ event, recipe, userId: event.userId }] : [];
    });
    if (due.length === 0) return;
    const users = await findActiveUsers(em, [...new Set(due.map(({ userId }) => userId))]);
    for (const { event, recipe, userId } of due) {
      const user = users.find(({ id }) => id === userId);
      if (event.type === 'user.deleted') queueForErased(em, recipe, event, now());
      else if (user && !isPointless(recipe, user)) await queueForUser(em, recipe, { event, userId }, { tokens, now });
    }
  };
}

const isPointless = ({ purpose }: Recipe, { verified }: ActiveUser) => purpose === 'email_verification' && verified;

/** The address moves on from the event, which is kept for a while, to the mail, which is not. */
function queueForErased(em: EntityManager, recipe: Recipe, event: Event, now: Date): void {
  const { recipient = '', ...payload } = event.payload;
  event.payload = payload;
  queue(em, recipe, { recipient }, now);
}

async function queueForUser(
  em: EntityManager,
  recipe: Recipe,
  { event, userId }: { event: Event; userId: string },
  { tokens, now }: QueueMailsDeps,
): Promise<void> {
  const data: Record<string, string> = { occurred_at: event.occurredAt.toISOString() };
  if (event.payload.session_id !== undefined) data.session_id = event.payload.session_id;
  if (recipe.purpose) {
    data.token_id = await tokens.issue(em, userId, recipe.purpose, now());
  }
  queue(em, recipe, data, now(), userId);
}

function queue(em: EntityManager, { template }: Recipe, data: Record<string, string>, now: Date, userId?: string): void {
  em.create(Mail, { template, userId: userId ?? null, data, nextAttemptAt: now, createdAt: now });
}
