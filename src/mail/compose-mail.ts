import type { EntityManager } from '@mikro-orm/postgresql';
import type { SecretBox } from '../secret-box.ts';
import { findSessionWithUser } from '../sessions/session.repository.ts';
import { findUser } from '../users/user.repository.ts';
import type { Mail } from './mail.entity.ts';
import { linkTo } from './mail-link.ts';
import type { MailTemplate, MailTemplates } from './mail-templates.ts';
import type { OutgoingMail } from './mail-transport.ts';
import type { MailedTokens } from './queue-mails.ts';

/** The address of somebody who was erased is kept sealed until the last mail to it is sent. */
export const ERASED_RECIPIENT = 'recipient of the mail about an erasure';

export interface ComposeMailDeps {
  readonly templates: MailTemplates;
  readonly tokens: MailedTokens;
  readonly sealed: SecretBox;
  readonly serviceName: string;
  readonly publicUrl: string;
}

/** Those with a link: it leads to the action of the same name. */
const WITH_LINK: ReadonlySet<MailTemplate> = new Set(['verify-email', 'reset-password']);

/**
 * Fills in a template. Undefined where there is nothing to say any more: the token was used, replaced or has expired, or the account is gone.
 * Names are left out on purpose, and what a device is called until the address is verified: whoever signs up with somebody else's address
 * could write them a letter.
 */
export async function composeMail(em: EntityManager, deps: ComposeMailDeps, mail: Mail, now: Date): Promise<OutgoingMail | undefined> {
  const template = mail.template as MailTemplate;
  const user = mail.userId == null ? undefined : await findUser(em, mail.userId);
  const to = user?.active ? user.email : erasedRecipient(deps, mail);
  if (to === undefined) return undefined;
  const facts: Record<string, string> = { service_name: deps.serviceName, email: to };
  if (mail.data.occurred_at) facts.time = readable(new Date(mail.data.occurred_at));
  if (mail.data.token_id) {
    const token = await deps.tokens.reveal(em, mail.data.token_id);
    if (!token || token.expiresAt <= now) return undefined;
    Object.assign(facts, { token: token.secret, expires: readable(token.expiresAt), ...link(deps, template, token.secret) });
  }
  if (mail.data.session_id && user?.isEmailVerified()) Object.assign(facts, await deviceOf(em, mail.data.session_id));
  return { id: mail.id, template, to, ...deps.templates.render(template, facts) };
}

function erasedRecipient({ sealed }: ComposeMailDeps, { data }: Mail): string | undefined {
  return data.recipient ? sealed.open(data.recipient, ERASED_RECIPIENT) : undefined;
}

function link({ publicUrl }: ComposeMailDeps, template: MailTemplate, token: string): { link?: string } {
  return WITH_LINK.has(template) ? { link: linkTo(publicUrl, template, token) } : {};
}

async function deviceOf(em: EntityManager, sessionId: string): Promise<Record<string, string>> {
  const session = await findSessionWithUser(em, sessionId);
  return { device: session?.deviceName ?? session?.userAgent ?? '', address: session?.ipAddress ?? '' };
}

/** `2026-11-21 09:15 UTC` */
function readable(moment: Date): string {
  return `${moment.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
