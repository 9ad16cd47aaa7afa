import { z } from 'zod';

/** More would only let callers keep the server busy; it is far beyond what a person or a password manager makes. */
export const MAX_PASSWORD_BYTES = 1024;

/** No valid email or name is longer; one that is not valid must not cost more than others. */
const MAX_TEXT = 255;

/** Shorter words, of a name for one, are in many a good password by chance. */
const MIN_WORD = 4;
/**
 * Once a longer word was found, words from this length on count as part of it: "AdaLovelace" is no better than
 * "Lovelace".
 */
const MIN_FURTHER_WORD = 3;
/**
 * The length that has to be left of a password without the words that everybody can guess: more than a year or a row of
 * digits.
 */
const MIN_REST = 6;

/** A rule that a new password can break. */
export type PasswordRule = 'too_short' | 'too_long' | 'common' | 'personal' | 'reused' | 'breached';

export interface Refusal {
  readonly rule: PasswordRule;
  readonly description: string;
}

/** Passwords that are tried first. */
export type CommonPasswords = Pick<ReadonlySet<string>, 'has' | 'size'>;

/** The rules for every new password, for any user. */
export interface PasswordRules {
  readonly minLength: number;
  /** In lower case. */
  readonly common: CommonPasswords;
  /** Tells of a password in lower case whether it is as easily guessed without being on the list. */
  readonly isPredictable: (password: string) => boolean;
  readonly serviceName: string;
}

/** The facts that are known of the user who gets the password. */
export interface PersonalData {
  readonly email?: string | undefined;
  readonly username?: string | null | undefined;
  readonly names?: readonly string[] | undefined;
}

export const REUSED: Refusal = { rule: 'reused', description: 'is one of the latest passwords' };
export const BREACHED: Refusal = { rule: 'breached', description: 'has leaked elsewhere' };

const COMMON: Refusal = { rule: 'common', description: 'is among the most common passwords' };
const PERSONAL: Refusal = { rule: 'personal', description: 'is built from the email, the username, a name or the name of the service' };
const TOO_LONG: Refusal = { rule: 'too_long', description: `must have at most ${MAX_PASSWORD_BYTES} bytes` };

const tooShort = (minLength: number): Refusal => ({ rule: 'too_short', description: `must have at least ${minLength} characters` });

const bytes = (password: string) => Buffer.byteLength(password, 'utf8');
const characters = (text: string) => [...text].length;

/** A password that is only compared: whatever it is, it must not cost too much. */
export const presentedPassword = z
  .string()
  .min(1, 'is required')
  .refine((password) => bytes(password) <= MAX_PASSWORD_BYTES, TOO_LONG.description);

/** A password to be set, as far as it can be checked by itself. */
export const newPassword = (rules: PasswordRules) =>
  z.string().superRefine((password, context) => {
    for (const { description } of brokenRules(password, rules)) context.addIssue(description);
  });

/**
 * A length in characters, any Unicode, no composition rules (NIST SP 800-63B §3.1.1.2, ASVS 6.2.5), but nothing that is tried first: the
 * most common passwords (ASVS 6.2.4), what fingers do by themselves, and what everybody knows of the user and the service (ASVS 6.2.11).
 * One that is too long is not looked at any closer.
 */
export function brokenRules(password: string, rules: PasswordRules, about: readonly PersonalData[] = []): Refusal[] {
  if (bytes(password) > MAX_PASSWORD_BYTES) return [TOO_LONG];
  const short = characters(password.normalize('NFC')) < rules.minLength;
  const folded = password.normalize('NFKC').toLowerCase();
  // Of a few characters, any two are a pattern.
  const common = rules.common.has(folded) || (!short && rules.isPredictable(folded));
  return [
    ...(short ? [tooShort(rules.minLength)] : []),
    ...(common ? [COMMON] : []),
    ...(isPersonal(password, rules, about) ? [PERSONAL] : []),
  ];
}

/** Tells whether little is left of the password without the words that belong to the user or the service. */
function isPersonal(password: string, { common, serviceName }: PasswordRules, about: readonly PersonalData[]): boolean {
  const words = [serviceName, ...about.flatMap(textsOf)].flatMap(wordsOf);
  return [letters, withoutLeet].some((spelling) => isBuiltFrom(spelling(password), new Set(words.map(spelling)), common));
}

function textsOf({ email = '', username, names = [] }: PersonalData): string[] {
  const [localPart = ''] = email.split('@');
  return [email, localPart, username ?? '', ...names].map((text) => text.slice(0, MAX_TEXT));
}

/** "Ada Lovelace" is one word and two. */
function wordsOf(text: string): string[] {
  return [text, ...text.split(/[^\p{L}\p{M}\p{N}]+/u)];
}

function isBuiltFrom(password: string, words: ReadonlySet<string>, common: CommonPasswords): boolean {
  const found = [...words].filter((word) => characters(word) >= MIN_FURTHER_WORD && password.includes(word));
  if (!found.some((word) => characters(word) >= MIN_WORD)) return false;
  const rest = found.sort((a, b) => b.length - a.length).reduce((left, word) => left.replaceAll(word, ''), password);
  return characters(rest) < MIN_REST || common.has(rest);
}

/** Case, accents, width and what stands between letters and digits make no difference. */
function letters(text: string): string {
  return text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]/gu, '');
}

const LEET: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '@': 'a',
  $: 's',
  '!': 'i',
  l: 'i',
};

/** "L0v3lace" is "lovelace". A 1 stands for i and for l, so these are one. */
function withoutLeet(text: string): string {
  return letters(text.toLowerCase().replace(/[013457@$!l]/g, (sign) => LEET[sign] ?? sign));
}
