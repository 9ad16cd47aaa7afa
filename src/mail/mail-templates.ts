import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import mustache from 'mustache';
import { ConfigError } from '../settings/start-error.ts';

export const MAIL_TEMPLATES = [
  'verify-email',
  'reset-password',
  'login-code',
  'confirm-email-change',
  'revert-email-change',
  'email-changed',
  'email-restored',
  'email-removed',
  'username-changed',
  'password-changed',
  'api-key-created',
  'admin-role-assigned',
  'session-ended',
  'new-device',
  'account-locked',
  'account-erased',
] as const;

export type MailTemplate = (typeof MAIL_TEMPLATES)[number];

/** The text of a mail, before it has an address. */
export interface MailContent {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

const OURS = path.resolve(import.meta.dirname, '../../templates/mail');
const SUBJECT = /^Subject: (.+)\n\n/;

/**
 * Text and HTML of every mail, in Mustache: `verify-email.txt`, whose first line is the subject, and `verify-email.html`. A file in the
 * folder of the operator takes the place of ours.
 */
export class MailTemplates {
  /** Subject, text and HTML, with their tags. */
  readonly #templates: ReadonlyMap<MailTemplate, MailContent>;

  private constructor(templates: ReadonlyMap<MailTemplate, MailContent>) {
    this.#templates = templates;
  }

  /** Throws where a file cannot be read or is no template, so that this is noticed at the start. */
  static async load(folder: string | undefined): Promise<MailTemplates> {
    if (folder !== undefined && !(await isFolder(folder))) throw unusable(`must be a folder, and ${folder} is none`);
    const load = async (name: MailTemplate) => {
      const [text, html] = await Promise.all([readTemplate(folder, `${name}.txt`), readTemplate(folder, `${name}.html`)]);
      const [heading, subject] = SUBJECT.exec(text) ?? [];
      if (heading === undefined || subject === undefined)
        throw unusable(`has a ${name}.txt that does not begin with "Subject: …" and an empty line`);
      return [
        name,
        {
          subject: parsed(subject, `${name}.txt`),
          text: parsed(text.slice(heading.length), `${name}.txt`),
          html: parsed(html, `${name}.html`),
        },
      ] as const;
    };
    return new MailTemplates(new Map(await Promise.all(MAIL_TEMPLATES.map(load))));
  }

  render(name: MailTemplate, facts: Readonly<Record<string, string>>): MailContent {
    const { subject, text, html } = this.#templates.get(name) as MailContent;
    const plain = (template: string) => mustache.render(template, facts, {}, { escape: String });
    return { subject: plain(subject), text: plain(text), html: mustache.render(html, facts) };
  }
}

async function isFolder(folder: string): Promise<boolean> {
  const stats = await stat(folder).catch(() => undefined);
  return stats?.isDirectory() === true;
}

async function readTemplate(folder: string | undefined, file: string): Promise<string> {
  const text = (await readReplacement(folder, file)) ?? (await readFile(path.join(OURS, file), 'utf8'));
  return text.replaceAll('\r\n', '\n');
}

async function readReplacement(folder: string | undefined, file: string): Promise<string | undefined> {
  if (folder === undefined) return undefined;
  try {
    return await readFile(path.join(folder, file), 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw unusable(`has a ${file} that cannot be read (${code})`);
  }
}

/** The template, once it is certain that it is one. */
function parsed(template: string, file: string): string {
  try {
    mustache.parse(template);
  } catch (error) {
    throw unusable(`has a ${file} that is no Mustache: ${(error as Error).message}`);
  }
  return template;
}

function unusable(problem: string): ConfigError {
  return new ConfigError([`MAIL_TEMPLATES ${problem}`]);
}
