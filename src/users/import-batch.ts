import type { EntityManager } from '@mikro-orm/postgresql';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { concurrentUpdate, IdentityError } from '../call/errors.ts';
import { databaseFailure } from '../database/sqlstate.ts';
import { transaction } from '../database/transaction.ts';
import { findUsersByKeys, insertProfiles, insertUsers, type UserKeys } from './import.repository.ts';
import type { ImportRow, ImportUsersDeps } from './import-users.ts';
import { emailAlreadyExists, requestIdReused, userConstraints, usernameAlreadyExists } from './user.errors.ts';

/** The outcome of a row. */
export type RowOutcome =
  | { readonly kind: 'created'; readonly userId: string }
  /** The user is absent where the row before was only checked, too. */
  | { readonly kind: 'unchanged'; readonly userId?: string }
  | { readonly kind: 'valid' }
  | { readonly kind: 'refused'; readonly error: IdentityError };

type Outcomes = Map<ImportRow, RowOutcome>;

/** After so many rounds a row goes on losing against others that come and go. */
const MAX_ROUNDS = 5;

/**
 * Stores the rows in one transaction. If the database refuses that, it is tried again with each half, so that a fault
 * of one row costs no other.
 */
export async function storeRows(call: Call, deps: ImportUsersDeps, rows: readonly ImportRow[]): Promise<Outcomes> {
  if (rows.length === 0) return new Map();
  try {
    return await transaction(call.em, (em) => store(em, call, deps, rows));
  } catch (error) {
    const refusal = refusalBy(error);
    if (!refusal) throw error;
    const [row, ...others] = rows;
    if (row && others.length === 0) return new Map([[row, { kind: 'refused', error: refusal }]]);
    const middle = rows.length >> 1;
    const first = await storeRows(call, deps, rows.slice(0, middle));
    return new Map([...first, ...(await storeRows(call, deps, rows.slice(middle)))]);
  }
}

/** Undefined where the failure is no row's fault. */
function refusalBy(error: unknown): IdentityError | undefined {
  const failure = databaseFailure(error);
  if (failure?.kind === 'conflict') return concurrentUpdate();
  if (failure?.kind === 'unique' || failure?.kind === 'check') return userConstraints[failure.constraint]?.();
  // SQLSTATE class 22, data exception: what our own checks should have refused.
  const { code } = (error ?? {}) as { readonly code?: unknown };
  if (typeof code !== 'string' || !/^22[0-9A-Z]{3}$/.test(code)) return undefined;
  return new IdentityError({ code: 'INTERNAL', reason: 'INTERNAL_ERROR', message: `the database refuses the row (SQLSTATE ${code})` });
}

/**
 * The unique indexes alone decide who gets an email or a username: first as many rows as collide with nobody are
 * inserted, and then the users are read that the others collide with. A user who has gone meanwhile leaves the place to
 * another round.
 */
async function store(em: EntityManager, call: Call, deps: ImportUsersDeps, rows: readonly ImportRow[]): Promise<Outcomes> {
  const roles = await deps.importRoles.resolve(em, call, [...new Set(rows.flatMap((row) => row.roles))]);
  const outcomes: Outcomes = new Map();
  const created: ImportRow[] = [];
  let open = rows;
  for (let round = 0; open.length > 0; round++) {
    if (round === MAX_ROUNDS) {
      for (const row of open) outcomes.set(row, { kind: 'refused', error: concurrentUpdate() });
      break;
    }
    created.push(...(await insert(em, call, withoutRepeats(open.filter((row) => !row.validateOnly && !roleProblem(row, roles))))));
    for (const row of created) outcomes.set(row, { kind: 'created', userId: row.id });
    open = open.filter((row) => !outcomes.has(row));
    const owners = new KeyOwners(open.length === 0 ? [] : await findUsersByKeys(em, open));
    for (const row of open) {
      const outcome = owners.outcomeOf(row, roleProblem(row, roles));
      if (outcome) outcomes.set(row, outcome);
    }
    open = open.filter((row) => !outcomes.has(row));
  }
  await complete(em, call, deps, created, roles);
  noteExcessiveGrants(em, call, outcomes);
  return outcomes;
}

type Roles = ReadonlyMap<string, string | IdentityError>;

function roleProblem(row: ImportRow, roles: Roles): IdentityError | undefined {
  return row.roles.map((name) => roles.get(name)).find((role) => role instanceof IdentityError);
}

async function insert(em: EntityManager, call: Call, rows: readonly ImportRow[]): Promise<ImportRow[]> {
  if (rows.length === 0) return [];
  const inserted = await insertUsers(
    em,
    rows.map((row) => ({
      id: row.id,
      email: row.email,
      username: row.username,
      fullName: row.profile.fullName,
      passwordHash: row.passwordHash,
      emailVerifiedAt: row.emailVerified ? call.now() : null,
      active: !row.deactivated,
      requestId: row.requestId,
    })),
  );
  return rows.filter(({ id }) => inserted.has(id));
}

/** Without those that collide with one before them: their turn comes when it is known what became of that. */
function withoutRepeats(rows: readonly ImportRow[]): ImportRow[] {
  const taken = new Set<string>();
  return rows.filter(({ email, username, requestId }) => {
    const keys = [email, username ?? '', requestId ?? ''].flatMap((key, index) => (key === '' ? [] : [`${index}:${key}`]));
    if (keys.some((key) => taken.has(key))) return false;
    for (const key of keys) taken.add(key);
    return true;
  });
}

/** The users with whom rows collide. */
class KeyOwners {
  readonly #byEmail: ReadonlyMap<string, UserKeys>;
  readonly #byUsername: ReadonlyMap<string | null, UserKeys>;
  readonly #byRequestId: ReadonlyMap<string | null, UserKeys>;

  constructor(users: readonly UserKeys[]) {
    this.#byEmail = new Map(users.map((user) => [user.email, user]));
    this.#byUsername = new Map(users.map((user) => [user.username, user]));
    this.#byRequestId = new Map(users.map((user) => [user.requestId, user]));
  }

  /** Undefined where the row collides with nobody: it has to be inserted still. */
  outcomeOf(row: ImportRow, roleProblem: IdentityError | undefined): RowOutcome | undefined {
    const earlier = row.requestId === null ? undefined : this.#byRequestId.get(row.requestId);
    if (earlier) return earlier.email === row.email ? { kind: 'unchanged', userId: earlier.id } : refused(requestIdReused());
    if (roleProblem) return refused(roleProblem);
    if (this.#byEmail.has(row.email)) return refused(emailAlreadyExists());
    if (row.username !== null && this.#byUsername.has(row.username)) return refused(usernameAlreadyExists());
    return row.validateOnly ? { kind: 'valid' } : undefined;
  }
}

const refused = (error: IdentityError): RowOutcome => ({ kind: 'refused', error });

/** All that belongs to the new users, and the record of it. */
async function complete(em: EntityManager, call: Call, deps: ImportUsersDeps, rows: readonly ImportRow[], roles: Roles): Promise<void> {
  if (rows.length === 0) return;
  await insertProfiles(
    em,
    rows.map(({ id, profile }) => ({ ...profile, userId: id })),
  );
  const grants = rows.flatMap(({ id, roles: names }) => names.map((role) => ({ userId: id, role, roleId: String(roles.get(role)) })));
  await deps.importRoles.assign(
    em,
    call,
    grants.map(({ userId, roleId }) => ({ userId, roleId })),
  );
  for (const { id } of rows) record(em, call, { type: 'user.created', userId: id, metadata: { source: 'import' } });
  for (const { userId, role } of grants) record(em, call, { type: 'role.assigned', userId, metadata: { role, source: 'import' } });
}

/** A caller who would give away more than they have is written down, as elsewhere; once for a batch. */
function noteExcessiveGrants(em: EntityManager, call: Call, outcomes: Outcomes): void {
  const excessive = [...outcomes.values()].some((outcome) => outcome.kind === 'refused' && outcome.error.reason === 'GRANT_EXCEEDS_CALLER');
  if (!excessive) return;
  const about = call.caller.kind === 'user' ? { userId: call.caller.userId } : {};
  const metadata = { rpc: '/identity.v1.UserService/ImportUsers', reason: 'GRANT_EXCEEDS_CALLER' };
  record(em, call, { type: 'call.refused', ...about, metadata });
}
