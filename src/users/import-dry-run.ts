import { hash } from 'node:crypto';
import type { RowOutcome } from './import-batch.ts';
import type { ImportRow } from './import-users.ts';
import { emailAlreadyExists, requestIdReused, usernameAlreadyExists } from './user.errors.ts';

/**
 * The number of rows that are remembered, so that the memory of a stream has a bound. A repetition at a greater
 * distance is found when the rows are really imported.
 */
const MAX_REMEMBERED = 1_000_000;

/**
 * Rows that are only checked are stored nowhere, so the database cannot tell that two of them would collide. This remembers what the valid
 * ones would have taken, as 52 bits of a hash each: in a dry run of a million rows, a collision by chance is less likely than 1 : 1000.
 */
export class DryRun {
  readonly #emails = new Map<number, number | undefined>();
  readonly #usernames = new Set<number>();
  readonly #requestIds = new Set<number>();

  /** The outcome of the row by the database, or by the rows before it. */
  outcomeOf(row: ImportRow, stored: RowOutcome): RowOutcome {
    if (stored.kind !== 'valid') return stored;
    const email = fingerprint(row.email);
    const username = row.username === null ? undefined : fingerprint(row.username);
    const requestId = row.requestId === null ? undefined : fingerprint(row.requestId);
    if (requestId !== undefined && this.#requestIds.has(requestId)) {
      return this.#emails.get(email) === requestId ? { kind: 'unchanged' } : { kind: 'refused', error: requestIdReused() };
    }
    if (this.#emails.has(email)) return { kind: 'refused', error: emailAlreadyExists() };
    if (username !== undefined && this.#usernames.has(username)) return { kind: 'refused', error: usernameAlreadyExists() };
    if (this.#emails.size < MAX_REMEMBERED) {
      this.#emails.set(email, requestId);
      if (username !== undefined) this.#usernames.add(username);
      if (requestId !== undefined) this.#requestIds.add(requestId);
    }
    return stored;
  }
}

function fingerprint(value: string): number {
  return Number.parseInt(hash('sha1', value).slice(0, 13), 16);
}
