import type { EntityManager } from '@mikro-orm/postgresql';
import type { SealedText } from '../secrets/sealed-text.ts';
import { type DeviceOfSession, findDevices } from '../sessions/session.repository.ts';
import { type ActiveUser, findActiveUsers } from '../users/user.repository.ts';
import type { ClaimedMail } from './mail.repository.ts';
import { linkTo } from './mail-link.ts';
import type { MailTemplate, MailTemplates } from './mail-templates.ts';
import type { OutgoingMail } from './mail-transport.ts';
import type { MailedSecret, MailedTokens } from './queue-mails.ts';

/** The address of somebody who was erased is kept sealed until the last mail to it is sent. */
export const ERASED_RECIPIENT = 'recipient of the mail about an erasure';

export interface ComposeMailDeps {
  readonly templates: MailTemplates;
  readonly tokens: MailedTokens;
  readonly sealed: SealedText;
  readonly serviceName: string;
  readonly publicUrl: string;
}

/** The things that mails speak of, as they are now: each by its id. */
export interface MailSubjects {
  readonly users: ReadonlyMap<string, ActiveUser>;
  readonly secrets: ReadonlyMap<string, MailedSecret>;
  readonly devices: ReadonlyMap<string, DeviceOfSession>;
}

/** Those with a link: it leads to the action of the same name. */
const WITH_LINK: ReadonlySet<MailTemplate> = new Set(['verify-email', 'reset-password']);

/** For several mails in as many statements as for one. */
export async function findMailSubjects(
  em: EntityManager,
  { tokens }: ComposeMailDeps,
  mails: readonly ClaimedMail[],
): Promise<MailSubjects> {
  const present = (ids: readonly (string | null | undefined)[]) => [...new Set(ids.filter((id) => id != null))];
  const users = await findActiveUsers(em, present(mails.map(({ userId }) => userId)));
  const secrets = await tokens.reveal(em, present(mails.map(({ data }) => data.token_id)));
  const devices = await findDevices(em, present(mails.map(({ data }) => data.session_id)));
  return { users, secrets, devices };
}

/**
 * Fills in a template. Undefined where there is nothing to say any more: the token was used or has expired, or the account is gone.
 * Names are left out on purpose, and what a device is called until the address is verified: whoever signs up with somebody else's address
 * could write them a letter.
 */
export function composeMail(deps: ComposeMailDeps, mail: ClaimedMail, subjects: MailSubjects, now: Date): OutgoingMail | undefined {
  const template = mail.template as MailTemplate;
  const user = mail.userId === null ? undefined : subjects.users.get(mail.userId);
  const to = user?.email ?? erasedRecipient(deps, mail);
  if (to === undefined) return undefined;
  const facts: Record<string, string> = { service_name: deps.serviceName, email: to };
  if (mail.data.occurred_at) facts.time = readable(new Date(mail.data.occurred_at));
  if (mail.data.token_id) {
    const token = subjects.secrets.get(mail.data.token_id);
    if (!token || token.expiresAt <= now) return undefined;
    Object.assign(facts, { token: token.secret, expires: readable(token.expiresAt), ...link(deps, template, token.secret) });
  }
  if (mail.data.session_id && user?.verified) Object.assign(facts, describe(subjects.devices.get(mail.data.session_id)));
  return { id: mail.id, template, to, ...deps.templates.render(template, facts) };
}

function erasedRecipient({ sealed }: ComposeMailDeps, { data }: ClaimedMail): string | undefined {
  return data.recipient ? sealed.open(data.recipient, ERASED_RECIPIENT) : undefined;
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
