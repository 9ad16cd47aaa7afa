import { z } from 'zod';
import { line, multiline, orNull } from '../call/validation.ts';
import { PROFILE_FIELDS, type ProfileField } from './user-settings.ts';

/** Characters that need no quotes, more or less (RFC 5322 §3.2.3): others have a meaning in the header of a mail. */
const ATOM = String.raw`[^\s@.<>()[\]\\,;:"]+`;
const EMAIL = new RegExp(String.raw`^[^\s@<>()[\]\\,;:"]+@${ATOM}(?:\.${ATOM})*$`, 'u');

/**
 * Trimmed, lower case and NFC (RFC 6531 §3.1); in this order, because letters exist that compose only in lower case.
 * Only a verification mail can tell whether mail arrives there: beyond "something@something" the form is not checked.
 */
export const email = z
  .string()
  .transform((value) => value.trim().toLowerCase().normalize('NFC'))
  .pipe(line(255))
  .pipe(z.string().regex(EMAIL, 'must be an email address'));

/** Cannot hold an '@', so no username looks like somebody's email. */
export const username = z
  .string()
  .transform((value) => value.trim().toLowerCase())
  .pipe(z.string().regex(/^[a-z0-9][a-z0-9._-]{2,63}$/, 'must have 3 to 64 characters out of a-z, 0-9, ".", "_", "-"'));

/** The account that a request speaks of: exactly one of the two. */
export const identifierFields = { email: email.optional(), username: username.optional() };

export const hasOneIdentifier = (request: { email?: string | undefined; username?: string | undefined }) =>
  (request.email === undefined) !== (request.username === undefined);

/** The schemas of profiles depend on these. */
export interface ProfileRules {
  readonly requiredProfileFields: readonly ProfileField[];
  readonly now: () => Date;
}

/** The profile of the entity; null is "not known". */
export interface ProfileInput {
  firstName: string;
  lastName: string | null;
  fullName: string;
  bio: string | null;
  birthDate: string | null;
  avatarUrl: string | null;
  phone: string | null;
}

type CalendarDate = { readonly year: number; readonly month: number; readonly day: number };

/** A profile as the API has it: text, or for the birth date a google.type.Date. */
export type ProfileValue = string | CalendarDate | undefined;

const FIELD_SCHEMAS = {
  first_name: () => line(100),
  last_name: () => line(100),
  full_name: () => line(200),
  bio: () => multiline(2000),
  birth_date: birthDate,
  avatar_url: () => line(2048).refine(isWebUrl, 'must be an http or https URL'),
  phone: () =>
    z
      .string()
      .trim()
      .regex(/^\+[1-9]\d{1,14}$/, 'must be a phone number in E.164, e.g. +41446681800'),
} as const satisfies Record<ProfileField, (rules: ProfileRules) => z.ZodType<string>>;

/** One field of a profile: text, or null where it is absent or empty, which a required field must not be. */
export function profileField(field: ProfileField, rules: ProfileRules): z.ZodType<string | null, unknown> {
  return orNull(FIELD_SCHEMAS[field](rules), { required: rules.requiredProfileFields.includes(field) });
}

/** The names of the fields in the entity and in the generated messages. */
export const PROPERTY_OF = {
  first_name: 'firstName',
  last_name: 'lastName',
  full_name: 'fullName',
  bio: 'bio',
  birth_date: 'birthDate',
  avatar_url: 'avatarUrl',
  phone: 'phone',
} as const satisfies Record<ProfileField, keyof ProfileInput>;

type ProfileMessage = { readonly [Field in keyof ProfileInput]?: ProfileValue };

/** The profile of a new user. */
export function newProfile(rules: ProfileRules) {
  const shape = Object.fromEntries(PROFILE_FIELDS.map((field) => [PROPERTY_OF[field], profileField(field, rules)]));
  return z
    .custom<ProfileMessage | undefined>()
    .transform(withEveryField)
    .pipe(z.object(shape))
    .transform((profile) => withFullName(profile as unknown as Nullable<ProfileInput>));
}

/** Also those that are absent, so that a required one among them is missed. */
function withEveryField(given: ProfileMessage | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.values(PROPERTY_OF).map((property) => [property, given?.[property]]));
}

type Nullable<T> = { [K in keyof T]: T[K] | null };

function withFullName({ firstName, lastName, fullName, ...rest }: Nullable<ProfileInput>): ProfileInput {
  const builtName = [firstName, lastName].filter(Boolean).join(' ');
  return { ...rest, firstName: firstName ?? '', lastName, fullName: fullName ?? builtName };
}

/** A google.type.Date as `YYYY-MM-DD`. A date without a year, month or day is a zero there, and refused. */
function birthDate({ now }: ProfileRules): z.ZodType<string> {
  return z
    .object({ year: z.number(), month: z.number(), day: z.number() })
    .transform(({ year, month, day }) => `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`)
    .pipe(
      z
        .string()
        .refine((date) => isCalendarDate(date) && date >= '1900-01-01', { error: 'must be a full date from 1900 on', abort: true })
        .refine((date) => date <= now().toISOString().slice(0, 10), 'must not be in the future'),
    );
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}

/** JavaScript turns the 30th of February into March; a date that comes back the same exists. */
function isCalendarDate(date: string): boolean {
  const parsed = new Date(`${date}T00:00:00Z`);
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(date);
}

function isWebUrl(value: string): boolean {
  return URL.canParse(value) && ['http:', 'https:'].includes(new URL(value).protocol);
}
