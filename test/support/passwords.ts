import { availableParallelism } from 'node:os';
import { expect } from 'vitest';
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

/** Keeps every hashing thread busy for at least a few hundred milliseconds: what comes now has to wait. `done` when they are free. */
export async function occupyHashThreads(service: TestService, cost = 13): Promise<{ readonly done: Promise<unknown> }> {
  const emails = Array.from({ length: availableParallelism() }, newEmail);
  for (const email of emails) {
    const { id } = await register(service, { email });
    await storeHash(service, id, slowHash(cost));
  }
  const logins = emails.map((email) => service.auth.login({ email, password: 'wrong' }));
  const done = Promise.allSettled(logins);
  await expect.poll(() => totalAttempts(service, emails), { interval: 5, timeout: 10_000 }).toBe(emails.length);
  return { done };
}

async function totalAttempts(service: TestService, emails: readonly string[]): Promise<unknown> {
  const [row] = await rows(service, 'select sum(failed_attempts)::int as total from users where email = any($1)', [emails]);
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

/** Every row of every table of the database, as text. */
export async function everythingStored(service: TestService): Promise<string> {
  const tables = await rows<{ name: string }>(service, `select tablename as name from pg_tables where schemaname = 'public'`);
  const contents = await Promise.all(
    tables.map(({ name }) => rows<{ text: string | null }>(service, `select string_agg(t::text, E'\\n') as text from ${name} t`)),
  );
  return contents.flatMap((found) => found.map(({ text }) => text ?? '')).join('\n');
}
