import type { EntityManager } from '@mikro-orm/postgresql';
import type { SealedText } from '../secrets/sealed-text.ts';
import { type DeviceOfSession, findDevices } from '../sessions/session.repository.ts';
import { type ActiveUser, findActiveUsers } from '../users/user.repository.ts';
import type { ClaimedMail } from './mail.repository.ts';
import { linkTo } from './mail-link.ts';
import type { MailTemplate, MailTemplates } from './mail-templates.ts';
import type { OutgoingMail } from './mail-transport.ts';
import type { EmailChangeLink, EmailChangeLinks, MailedEmailChanges, MailedSecret, MailedTokens } from './queue-mails.ts';

/** An address that is no user's any more is kept sealed until the last mail to it is sent. */
export const SEALED_RECIPIENT = 'recipient of the mail about an erasure';

export interface ComposeMailDeps {
  readonly templates: MailTemplates;
  readonly tokens: MailedTokens;
  readonly emailChanges: MailedEmailChanges;
  readonly sealed: SealedText;
  readonly serviceName: string;
  readonly publicUrl: string;
}

/** The things that mails speak of, as they are now: each by its id. */
export interface MailSubjects {
  readonly users: ReadonlyMap<string, ActiveUser>;
  readonly secrets: ReadonlyMap<string, MailedSecret>;
  readonly emailChanges: ReadonlyMap<string, EmailChangeLinks>;
  readonly devices: ReadonlyMap<string, DeviceOfSession>;
}

/** Those with a link: it leads to the action of the same name. */
const WITH_LINK: ReadonlySet<MailTemplate> = new Set(['verify-email', 'reset-password', 'confirm-email-change', 'revert-email-change']);

/** Those with a link about a change of the email, which go to the address that the link is for. */
const EMAIL_CHANGE_LINKS: Partial<Record<MailTemplate, keyof EmailChangeLinks>> = {
  'confirm-email-change': 'confirm',
  'revert-email-change': 'revert',
};

/** For several mails in as many statements as for one. */
export async function findMailSubjects(
  em: EntityManager,
  { tokens, emailChanges }: ComposeMailDeps,
  mails: readonly ClaimedMail[],
): Promise<MailSubjects> {
  const present = (ids: readonly (string | null | undefined)[]) => [...new Set(ids.filter((id) => id != null))];
  const users = await findActiveUsers(em, present(mails.map(({ userId }) => userId)));
  const secrets = await tokens.reveal(em, present(mails.map(({ data }) => data.token_id)));
  const links = await emailChanges.reveal(em, present(mails.map(({ data }) => data.email_change_id)));
  const devices = await findDevices(em, present(mails.map(({ data }) => data.session_id)));
  return { users, secrets, emailChanges: links, devices };
}

/**
 * Fills in a template. Undefined where there is nothing to say any more: the token was used or has expired, or the account is gone.
 * Names are left out on purpose, and what a device is called until the address is verified: whoever signs up with somebody else's address
 * could write them a letter.
 */
export function composeMail(deps: ComposeMailDeps, mail: ClaimedMail, subjects: MailSubjects, now: Date): OutgoingMail | undefined {
  const template = mail.template as MailTemplate;
  const user = mail.userId === null ? undefined : subjects.users.get(mail.userId);
  const secret = secretOf(template, mail, subjects);
  if ((mail.userId !== null && !user) || secret === 'void' || (secret && secret.expiresAt <= now)) return undefined;
  const to = sealedRecipient(deps, mail) ?? secret?.to ?? user?.email;
  if (to === undefined) return undefined;
  const facts: Record<string, string> = { service_name: deps.serviceName, email: to };
  if (mail.data.occurred_at) facts.time = readable(new Date(mail.data.occurred_at));
  if (secret) Object.assign(facts, { token: secret.secret, expires: readable(secret.expiresAt), ...link(deps, template, secret.secret) });
  if (mail.data.session_id && user?.verified) Object.assign(facts, describe(subjects.devices.get(mail.data.session_id)));
  return { id: mail.id, template, to, ...deps.templates.render(template, facts) };
}

/** The secret that the mail is about; `void` where it is good for nothing any more, undefined where the mail is about none. */
function secretOf(
  template: MailTemplate,
  { data }: ClaimedMail,
  { secrets, emailChanges }: MailSubjects,
): (MailedSecret & Partial<EmailChangeLink>) | 'void' | undefined {
  const kind = EMAIL_CHANGE_LINKS[template];
  if (kind) return emailChanges.get(data.email_change_id ?? '')?.[kind] ?? 'void';
  return data.token_id ? (secrets.get(data.token_id) ?? 'void') : undefined;
}

function sealedRecipient({ sealed }: ComposeMailDeps, { data }: ClaimedMail): string | undefined {
  return data.recipient ? sealed.open(data.recipient, SEALED_RECIPIENT) : undefined;
}

function link({ publicUrl }: ComposeMailDeps, template: MailTemplate, token: string): { link?: string } {
  return WITH_LINK.has(template) ? { link: linkTo(publicUrl, template, token) } : {};
}

function describe(session: DeviceOfSession | undefined): Record<string, string> {
  return { device: session?.deviceName ?? session?.userAgent ?? '', address: session?.ipAddress ?? '' };
}

/** `2026-11-21 09:15 UTC` */
function readable(moment: Date): string {
  return `${moment.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
