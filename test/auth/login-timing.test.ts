import { describe, expect, it } from 'vitest';
import { newEmail, register } from '../support/builders.ts';
import { storeHash } from '../support/passwords.ts';
import { useService } from '../support/service.ts';

const service = useService({ BCRYPT_COST: '8', LOCKOUT_MAX_ATTEMPTS: '1000' });

async function timeOf(email: string): Promise<number> {
  const start = performance.now();
  await service.auth.login({ email, password: 'not the password' }).catch(() => undefined);
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** The median time of a failing login for each account; the calls alternate, so that whatever else goes on meets all of them. */
async function measure(accounts: readonly (() => string)[], rounds: number): Promise<number[]> {
  const times: number[][] = accounts.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, email] of accounts.entries()) times[index]?.push(await timeOf(email()));
  }
  return times.map(median);
}

/** How far the others are from the first account, as a share of its time. */
async function spread(accounts: readonly (() => string)[]): Promise<number> {
  const [reference = 0, ...others] = await measure(accounts, 25);
  return Math.max(...others.map((time) => Math.abs(time - reference) / reference));
}

describe('Login', () => {
  it('takes as long for an account that does not exist, is deactivated or has an unknown hash as for a wrong password', {
    timeout: 60_000,
  }, async () => {
    const known = await register(service);
    const deactivated = await register(service);
    await service.users.deactivateUser({ userId: deactivated.id });
    const unreadable = await register(service);
    await storeHash(service, unreadable.id, '{SSHA}of a system that nobody knows any more');
    const accounts = [() => known.email, newEmail, () => deactivated.email, () => unreadable.email];
    await measure(accounts, 5);

    // A busy machine may spoil a measurement, but not three of them in a row.
    let smallest = Number.POSITIVE_INFINITY;
    for (let attempt = 0; attempt < 3 && smallest >= 0.1; attempt++) smallest = Math.min(smallest, await spread(accounts));
    expect(smallest).toBeLessThan(0.1);
  });
});
