import { randomUUID } from 'node:crypto';
import type { Tokens } from '../../src/gen/identity/v1/tokens.ts';
import type { User } from '../../src/gen/identity/v1/user.ts';
import { rows } from './rows.ts';
import type { TestService } from './service.ts';

export const PASSWORD = 'correct horse battery staple';

/** An email that no other test uses. */
export const newEmail = () => `${randomUUID()}@example.com`;

export const newUsername = () => `u${randomUUID().replaceAll('-', '')}`;

/** An account with PASSWORD. */
export async function register({ auth }: TestService, fields: Parameters<TestService['auth']['register']>[0] = {}): Promise<User> {
  const { user } = await auth.register({ email: newEmail(), password: PASSWORD, ...fields });
  return required(user);
}

/** The same, whose email was verified before: no proof of the mailbox is the first one. */
export async function registerVerified(service: TestService): Promise<User> {
  const user = await register(service);
  await rows(service, 'update users set email_verified_at = now() where id = $1', [user.id]);
  return { ...user, emailVerified: true };
}

export async function logIn({ auth }: TestService, email: string, password = PASSWORD): Promise<Tokens> {
  const { tokens } = await auth.login({ email, password });
  return required(tokens);
}

/** A new account, signed in. */
export async function signedIn(service: TestService, create = register): Promise<{ user: User; tokens: Tokens }> {
  const user = await create(service);
  return { user, tokens: await logIn(service, user.email) };
}

export function required<T>(value: T | undefined | null): T {
  if (value === undefined || value === null) throw new Error('the response lacks what the API promises');
  return value;
}

/** Starts all at once: every call waits at a barrier until the last one is there. */
export async function atOnce<T>(count: number, call: (index: number) => Promise<T>): Promise<PromiseSettledResult<T>[]> {
  const { promise: barrier, resolve: open } = Promise.withResolvers<void>();
  const calls = Array.from({ length: count }, (_, index) => barrier.then(() => call(index)));
  open();
  return Promise.allSettled(calls);
}
