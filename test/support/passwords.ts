import { availableParallelism } from 'node:os';
import bcrypt from 'bcrypt';
import { expect, onTestFinished, vi } from 'vitest';
import { newEmail, register } from './builders.ts';
import { rows } from './rows.ts';
import type { TestService } from './service.ts';

export async function storedHash(service: TestService, userId: string): Promise<string | null> {
  const [row] = await rows<{ password_hash: string | null }>(service, 'select password_hash from users where id = $1', [userId]);
  return row?.password_hash ?? null;
}

/** Gives a user a hash that was made elsewhere. */
export async function storeHash(service: TestService, userId: string, hash: string): Promise<void> {
  await rows(service, 'update users set password_hash = $2 where id = $1', [userId, hash]);
}

/** A hash that no password matches, and that takes long to find out: 2^cost rounds. */
export const slowHash = (cost: number) => `$2b$${cost}$${'abcdefghijklmnopqrstuu'}${'x'.repeat(30)}e`;

/** Lets the hashes be made that were held up; resolves when the threads are free. */
type Release = () => Promise<void>;

/** Keeps every hashing thread of the service busy until the release, or the end of the test: what comes now has to wait. */
export async function occupyHashThreads(service: TestService): Promise<Release> {
  const emails = Array.from({ length: availableParallelism() }, newEmail);
  for (const email of emails) await register(service, { email });
  const goOn = holdHashes();
  const ends = Promise.allSettled(emails.map((email) => service.auth.login({ email, password: 'wrong' })));
  await expect.poll(() => attemptsInFlight(service, emails)).toBe(emails.length);
  return async () => {
    goOn();
    await ends;
  };
}

/** bcrypt begins none of its hashes before the result is called: as if each took that long, but without work for the processor. */
function holdHashes(): () => void {
  const hash = bcrypt.hash;
  const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
  const hold = vi.spyOn(bcrypt, 'hash').mockImplementation(async (...given: Parameters<typeof hash>) => {
    await held;
    return hash(...given);
  });
  onTestFinished(() => {
    hold.mockRestore();
    goOn();
  });
  return goOn;
}

async function attemptsInFlight(service: TestService, emails: readonly string[]): Promise<unknown> {
  const [row] = await rows(service, 'select sum(attempts_in_flight)::int as total from users where email = any($1)', [emails]);
  return row?.total;
}

export interface Counter {
  readonly failed: number;
  readonly locked: boolean;
}

/** What the lockout has counted for a user. */
export async function counterOf(service: TestService, userId: string): Promise<Counter> {
  const [row] = await rows<{ failed: number; locked: boolean }>(
    service,
    'select failed_attempts as failed, locked_until is not null as locked from users where id = $1',
    [userId],
  );
  if (!row) throw new Error(`no user ${userId}`);
  return row;
}

/** How many attempts on the password of a user have no outcome yet. */
export async function inFlightOf(service: TestService, userId: string): Promise<number> {
  const [row] = await rows<{ count: number }>(service, 'select attempts_in_flight as count from users where id = $1', [userId]);
  return row?.count ?? 0;
}

/** Every row of every table of the database, as text. */
export async function everythingStored(service: TestService): Promise<string> {
  const tables = await rows<{ name: string }>(service, `select tablename as name from pg_tables where schemaname = 'public'`);
  const contents = await Promise.all(
    tables.map(({ name }) => rows<{ text: string | null }>(service, `select string_agg(t::text, E'\\n') as text from ${name} t`)),
  );
  return contents.flatMap((found) => found.map(({ text }) => text ?? '')).join('\n');
}
