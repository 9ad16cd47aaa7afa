import { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { type FieldViolation, invalidFields } from '../call/errors.ts';
import { orNull, uuid } from '../call/validation.ts';
import { transaction } from '../database/transaction.ts';
import { type ActOnUserDeps, lockUserToActOn } from './act-on-user.ts';
import type { User } from './user.entity.ts';
import { emailImmutable, staleEtag } from './user.errors.ts';
import { etagOf } from './user-etag.ts';
import { email, PROPERTY_OF, type ProfileInput, type ProfileRules, type ProfileValue, profileField, username } from './user-fields.ts';
import { PROFILE_FIELDS, type ProfileField } from './user-settings.ts';
import { viewOf } from './user-view.ts';

/** Loose on purpose: only the fields that the mask names have to be valid. */
export const updateUserInput = z.object({
  user: z
    .object(
      {
        id: uuid,
        etag: z.string(),
        email: z.string(),
        username: z.string().optional(),
        profile: z.custom<{ readonly [Field in keyof ProfileInput]?: ProfileValue } | undefined>(),
      },
      'is required',
    )
    .or(z.undefined().refine(() => false, 'is required')),
  updateMask: z.array(z.string()).optional(),
});

type Given = NonNullable<z.output<typeof updateUserInput>['user']>;

/** A field that UpdateUser can set: how to read it from the request, what it must be, and where it goes. */
interface UpdatableField {
  readonly read: (given: Given) => ProfileValue;
  readonly schema: (rules: ProfileRules) => z.ZodType<string | null, unknown>;
  readonly write: (user: User, value: string | null) => void;
}

const UPDATABLE: ReadonlyMap<string, UpdatableField> = new Map([
  ['username', { read: (given) => given.username, schema: () => orNull(username), write: writeUsername } satisfies UpdatableField],
  ...PROFILE_FIELDS.map((field) => [`profile.${field}`, updatableProfileField(field)] as const),
]);

export type UpdateUserDeps = ProfileRules & ActOnUserDeps;

/** Changes the fields that the mask names, or the ones present in the request where there is no mask (AIP-134). */
export async function updateUser(call: Call, deps: UpdateUserDeps, input: z.output<typeof updateUserInput>): Promise<User> {
  const given = input.user as Given;
  const paths = input.updateMask ? expand(input.updateMask) : presentPaths(given);
  const changes = validate(given, paths, deps);
  return transaction(call.em, async (em) => {
    const user = await lockUserToActOn(em, call, deps, given.id);
    if (given.etag !== '' && given.etag !== etagOf(viewOf(user))) throw staleEtag();
    if (!input.updateMask) refuseOtherEmail(given, user);
    const earlierUsername = user.username ?? null;
    for (const [path, value] of changes) UPDATABLE.get(path)?.write(user, value);
    if (paths.length === 0) return user;
    user.noteInteraction(call.now());
    if ((user.username ?? null) !== earlierUsername) record(em, call, { type: 'user.username_changed', userId: user.id });
    record(em, call, { type: 'user.updated', userId: user.id, metadata: { fields: paths.join(',') } });
    return user;
  });
}

/** `profile` stands for all of its fields. Every unknown path is reported at once. */
function expand(mask: readonly string[]): string[] {
  if (mask.includes('email')) throw emailImmutable('update_mask');
  const unknown = mask.filter((path) => path !== 'profile' && !UPDATABLE.has(path));
  if (unknown.length > 0) {
    throw invalidFields(unknown.map((path) => ({ field: 'update_mask', description: `has the unknown path "${path.slice(0, 100)}"` })));
  }
  const paths = mask.flatMap((path) => (path === 'profile' ? PROFILE_FIELDS.map((field) => `profile.${field}`) : [path]));
  return [...new Set(paths)];
}

function presentPaths(given: Given): string[] {
  return [...UPDATABLE].filter(([, { read }]) => read(given) !== undefined && read(given) !== '').map(([path]) => path);
}

function validate(given: Given, paths: readonly string[], rules: ProfileRules): Map<string, string | null> {
  const changes = new Map<string, string | null>();
  const violations: FieldViolation[] = [];
  for (const path of paths) {
    const field = UPDATABLE.get(path) as UpdatableField;
    const result = field.schema(rules).safeParse(field.read(given));
    if (result.success) changes.set(path, result.data);
    else violations.push(...result.error.issues.map(({ message }) => ({ field: `user.${path}`, description: message })));
  }
  if (violations.length > 0) throw invalidFields(violations);
  return changes;
}

/** Somebody who sends back the whole user that they have read does not mean to change the email; another one, they do. */
function refuseOtherEmail(given: Given, user: User): void {
  if (given.email !== '' && email.safeParse(given.email).data !== user.email) throw emailImmutable('user.email');
}

function updatableProfileField(field: ProfileField): UpdatableField {
  const property = PROPERTY_OF[field];
  return {
    read: (given) => given.profile?.[property],
    schema: (rules) => profileField(field, rules),
    // The two names are not nullable in the database: empty is "not known".
    write: ({ profile }, value) =>
      Object.assign(profile, { [property]: field === 'first_name' || field === 'full_name' ? (value ?? '') : value }),
  };
}

function writeUsername(user: User, value: string | null): void {
  user.username = value;
}
