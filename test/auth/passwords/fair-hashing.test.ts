import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { newEmail, PASSWORD, register } from '../../support/builders.ts';
import { failureOf } from '../../support/expect-status.ts';
import { programWith } from '../../support/grants.ts';
import { occupyHashThreads } from '../../support/passwords.ts';
import { useService } from '../../support/service.ts';

const service = useService();

/** As many as the queue takes of hashes that are quick. */
const QUEUE = Math.max(32 * availableParallelism(), 64);

const ATTACKER = '2001:db8:0:6:';
const OWNER = '2001:db8:0:7::1';

/** Fills the queue with guesses at emails that nobody has, with ten beyond it; `refused` are the reasons of those that were turned away. */
function flood(addressOf: (guess: number) => string, token?: string) {
  const refused: (string | undefined)[] = [];
  const guesses = Array.from({ length: QUEUE + 10 }, async (_, guess) => {
    const client = { ipAddress: addressOf(guess) };
    const { reason } = await failureOf(service.auth.login({ email: newEmail(), password: 'wrong', client }, token ? { token } : {}));
    if (reason !== 'INVALID_CREDENTIALS') refused.push(reason);
    return reason;
  });
  return { refused, reasons: Promise.all(guesses) };
}

describe('more passwords than can be hashed', () => {
  it('from one network cost that network its turns: somebody from elsewhere gets in, and its newest guess goes', async () => {
    const owner = await register(service);
    const release = await occupyHashThreads(service);
    const { refused, reasons } = flood((guess) => `${ATTACKER}:${guess + 1}`);
    await expect.poll(() => refused).toEqual(Array(10).fill('OVERLOADED'));
    const login = service.auth.login({ email: owner.email, password: PASSWORD, client: { ipAddress: OWNER } });
    await expect.poll(() => refused).toEqual(Array(11).fill('OVERLOADED'));
    await release();
    expect((await login).tokens?.sessionId).toBeTruthy();
    expect((await reasons).filter((reason) => reason === 'INVALID_CREDENTIALS')).toHaveLength(QUEUE - 1);
  });

  it('from a backend that tells no addresses cost that backend its turns', async () => {
    const owner = await register(service);
    const { key } = await programWith(service, ['identity.auth.login']);
    const release = await occupyHashThreads(service);
    const { refused, reasons } = flood(() => OWNER, key);
    await expect.poll(() => refused).toEqual(Array(10).fill('OVERLOADED'));
    const login = service.auth.login({ email: owner.email, password: PASSWORD });
    await expect.poll(() => refused).toHaveLength(11);
    await release();
    expect((await login).tokens?.sessionId).toBeTruthy();
    await reasons;
  });
});
