import { hash } from 'node:crypto';
import { type FieldViolation, invalidFields } from '../../call/errors.ts';
import type { GivenRow } from '../../users/import-users.ts';
import { email, PROPERTY_OF } from '../../users/user-fields.ts';
import { PROFILE_FIELDS } from '../../users/user-settings.ts';

type Json = Readonly<Record<string, unknown>>;

/** The fields of ImportUsersRequest. */
const FIELDS = ['request_id', 'email', 'username', 'profile', 'roles', 'email_verified', 'password_hash', 'deactivated', 'validate_only'];

/**
 * A user as one line of NDJSON: the fields of ImportUsersRequest in snake_case. The import itself will say whether
 * their values are right; here a field that it does not know is refused: a misspelt `password_hash` must not get lost.
 */
export function parseUserLine(line: string): GivenRow {
  const user = object(parseJson(line), '');
  const profile = user.profile == null ? undefined : object(user.profile, 'profile');
  refuseUnknown(user, FIELDS, '');
  if (profile) refuseUnknown(profile, PROFILE_FIELDS, 'profile.');
  const { request_id, email, username, roles, email_verified, password_hash, deactivated, validate_only } = user;
  // Of types that only the import checks.
  return {
    requestId: request_id ?? requestIdOf(email),
    email,
    username: username ?? undefined,
    profile: profile && Object.fromEntries(PROFILE_FIELDS.map((field) => [PROPERTY_OF[field], profileValue(field, profile[field])])),
    roles: roles ?? [],
    emailVerified: email_verified ?? false,
    passwordHash: password_hash ?? undefined,
    deactivated: deactivated ?? false,
    validateOnly: validate_only ?? false,
  } as GivenRow;
}

/** Half a surrogate pair is text for JSON, but not for PostgreSQL. */
function parseJson(line: string): unknown {
  try {
    return JSON.parse(line, (_, value: unknown) => (typeof value === 'string' ? value.toWellFormed() : value));
  } catch {
    throw invalidFields([{ field: 'line', description: 'is not JSON' }]);
  }
}

function object(value: unknown, field: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw invalidFields([{ field: field || 'line', description: 'must be a JSON object' }]);
}

function refuseUnknown(given: Json, known: readonly string[], prefix: string): void {
  const unknown = Object.keys(given).filter((name) => !known.includes(name));
  const violations = unknown.map((name): FieldViolation => ({ field: `${prefix}${name.slice(0, 100)}`, description: 'is no such field' }));
  if (violations.length > 0) throw invalidFields(violations);
}

/** A date is `YYYY-MM-DD`, or an object as in the API. */
function profileValue(field: string, value: unknown): unknown {
  const [, year, month, day] = (field === 'birth_date' && typeof value === 'string' && /^(\d{4})-(\d\d)-(\d\d)$/.exec(value)) || [];
  return year === undefined ? (value ?? undefined) : { year: Number(year), month: Number(month), day: Number(day) };
}

/** The same for the same email every time, so that a file without ids can be imported again: a UUID of version 8 (RFC 9562 §5.8). */
function requestIdOf(given: unknown): string {
  const digest = hash('sha256', `identity.v1 import ${email.safeParse(given).data ?? ''}`);
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-8${digest.slice(13, 16)}-a${digest.slice(17, 20)}-${digest.slice(20, 32)}`;
}
