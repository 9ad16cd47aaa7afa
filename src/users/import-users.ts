import { randomUUID } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { Call } from '../call/call.ts';
import { IdentityError } from '../call/errors.ts';
import { emptyAsAbsent, line, orNull, parse, uuid } from '../call/validation.ts';
import { inBatches } from '../concurrency/batches.ts';
import { type RowOutcome, storeRows } from './import-batch.ts';
import { DryRun } from './import-dry-run.ts';
import { email, newProfile, username } from './user-fields.ts';

/** One transaction each: large enough to be quick, small enough to hold no lock for long. */
const BATCH = { size: 500, idleMs: 5, waitMs: 100 };

const MAX_ROLES = 100;

/** A UUID has 36 characters; what is much longer is refused and need not wait in memory to be sent back. */
const MAX_ECHO = 200;

/** The operations on roles that an import needs; `access/roles` provides them. */
export interface ImportRoles {
  /** For each name the id of the role, or why the caller cannot give it. It stays so until the transaction ends. */
  resolve(em: EntityManager, call: Call, names: readonly string[]): Promise<ReadonlyMap<string, string | IdentityError>>;
  /** Throws where the caller may not do so any more. */
  assign(em: EntityManager, call: Call, given: readonly { userId: string; roleId: string }[]): Promise<void>;
}

export interface ImportUsersDeps {
  readonly now: () => Date;
  readonly importRoles: ImportRoles;
  /** Returns the reason why a hash that was made elsewhere cannot be stored; `auth` knows. */
  readonly problemOfForeignHash: (hash: string) => string | undefined;
}

const importRow = ({ now, problemOfForeignHash }: ImportUsersDeps) =>
  z.object({
    requestId: emptyAsAbsent(uuid).transform((id) => id ?? null),
    email,
    username: orNull(username),
    profile: newProfile({ requiredProfileFields: [], now }),
    // Counted before each is looked at.
    roles: z
      .array(z.string())
      .max(MAX_ROLES, `must have at most ${MAX_ROLES} names`)
      .pipe(z.array(line(64)))
      .transform((names) => [...new Set(names)]),
    emailVerified: z.boolean(),
    passwordHash: orNull(
      z.string().superRefine((hash, context) => {
        const problem = problemOfForeignHash(hash);
        if (problem !== undefined) context.addIssue(problem);
      }),
    ),
    deactivated: z.boolean(),
    validateOnly: z.boolean(),
  });

type Input = z.input<ReturnType<typeof importRow>>;

/** A row as it is sent. */
export type GivenRow = Omit<Input, 'username' | 'passwordHash'> & Partial<Input>;

/** A row that is fine in itself, with the id that its user will have. */
export type ImportRow = z.output<ReturnType<typeof importRow>> & { readonly id: string };

/** The outcome of the row at this place of the stream. */
export interface RowAnswer {
  readonly row: number;
  /** As given; empty where it is far too long for one. */
  readonly requestId: string;
  readonly outcome: RowOutcome;
}

interface CheckedRow {
  readonly requestId: string;
  readonly checked: ImportRow | IdentityError;
}

/** The answers come in the order of the rows; every batch is committed before any of its rows is answered. */
export async function* importUsers(call: Call, deps: ImportUsersDeps, rows: AsyncIterable<GivenRow>): AsyncGenerator<RowAnswer, void> {
  const dryRun = new DryRun();
  let row = 0;
  for await (const batch of inBatches(checkedRows(rows, deps), BATCH)) {
    const good = batch.flatMap(({ checked }) => (checked instanceof IdentityError ? [] : [checked]));
    const outcomes = await storeRows(call, deps, good);
    for (const { requestId, checked } of batch) {
      const outcome: RowOutcome =
        checked instanceof IdentityError ? { kind: 'refused', error: checked } : dryRun.outcomeOf(checked, ofRow(checked, outcomes));
      yield { row: row++, requestId, outcome };
    }
  }
}

function ofRow(row: ImportRow, outcomes: ReadonlyMap<ImportRow, RowOutcome>): RowOutcome {
  const outcome = outcomes.get(row);
  if (!outcome) throw new Error('a row was left without an outcome');
  return outcome;
}

/** Checked one by one as they arrive: of what is refused, nothing is kept. */
async function* checkedRows(rows: AsyncIterable<GivenRow>, deps: ImportUsersDeps): AsyncGenerator<CheckedRow, void> {
  const schema = importRow(deps);
  for await (const row of rows) {
    yield { requestId: row.requestId.length > MAX_ECHO ? '' : row.requestId, checked: check(schema, row) };
  }
}

function check(schema: ReturnType<typeof importRow>, row: GivenRow): ImportRow | IdentityError {
  try {
    return { ...parse(schema, row), id: randomUUID() };
  } catch (error) {
    if (error instanceof IdentityError) return error;
    throw error;
  }
}
