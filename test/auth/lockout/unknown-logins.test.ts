import { createHash, createHmac, randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { newEmail } from '../../support/builders.ts';
import { expectStatus } from '../../support/expect-status.ts';
import { rows } from '../../support/rows.ts';
import { startService, type TestService, useService } from '../../support/service.ts';

const service = useService();

interface Unknown {
  readonly hash: string;
  readonly failed: number;
}

const stored = () =>
  rows<Unknown & Record<string, unknown>>(
    service,
    `select encode(identifier_hash, 'hex') as hash, failed_attempts as failed from attempted_identifiers`,
  );

const fail = (identifier: { email: string } | { username: string }, { auth }: TestService = service) =>
  expectStatus(auth.login({ ...identifier, password: 'wrong' }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');

/** What somebody who has the table, a list of addresses and no key would look for in it. */
function guesses(column: string, value: string): string[] {
  const forms = [value, value.toUpperCase(), value.split('@')[0] ?? ''];
  const texts = [...forms, ...forms.map((form) => `${column}:${form}`), ...forms.map((form) => `${column}${form}`)];
  const keys = ['', '\0', column, 'identity', 'attempted_identifiers'];
  return texts.flatMap((text) => [
    Buffer.from(text).toString('hex'),
    ...['sha256', 'sha512-256', 'sha3-256', 'sha1', 'md5'].map((hash) => createHash(hash).update(text).digest('hex')),
    ...keys.map((key) => createHmac('sha256', key).update(text).digest('hex')),
  ]);
}

describe('an email or username that nobody has', () => {
  it('is stored under a hash that cannot be guessed without the key', async () => {
    const email = newEmail();
    const username = `u${randomUUID().slice(0, 8)}`;
    const before = new Set((await stored()).map(({ hash }) => hash));
    await fail({ email });
    await fail({ username });
    const added = (await stored()).map(({ hash }) => hash).filter((hash) => !before.has(hash));
    expect(added).toHaveLength(2);
    for (const guess of [...guesses('email', email), ...guesses('username', username)]) expect(added).not.toContain(guess);
    for (const hash of added) expect(hash).toHaveLength(64);
  });

  it('has one hash for each secret key', async () => {
    const email = newEmail();
    const before = (await stored()).length;
    const sameKey = await startService({}, service.database);
    const otherKey = await startService({ JWT_SECRET_KEY: 'another secret key that only tests use, 32+' }, service.database);
    try {
      await fail({ email });
      await fail({ email }, sameKey);
      await fail({ email }, otherKey);
      const counts = (await stored()).map(({ failed }) => failed).toSorted();
      expect(counts).toHaveLength(before + 2);
      expect(counts.slice(-1)).toEqual([2]);
    } finally {
      await Promise.all([sameKey.stop(), otherKey.stop()]);
    }
  });
});
