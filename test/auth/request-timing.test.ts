import { describe, expect, it } from 'vitest';
import { newEmail } from '../support/builders.ts';
import { useMailbox } from '../support/mailbox.ts';
import { untilMailsAreSent } from '../support/mails.ts';
import { type TestService, useService } from '../support/service.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url(), LOCKOUT_MAX_ATTEMPTS: '1000', RATE_LIMIT_PER_IDENTIFIER: '0' }));

type Request = (auth: TestService['auth'], email: string) => Promise<unknown>;

const REQUESTS: [string, Request][] = [
  ['RequestEmailVerification', (auth, email) => auth.requestEmailVerification({ email })],
  ['RequestPasswordReset', (auth, email) => auth.requestPasswordReset({ email })],
  ['RequestLoginCode', (auth, email) => auth.requestLoginCode({ email })],
  ['LoginWithCode with a wrong code', (auth, email) => auth.loginWithCode({ email, code: '00000000' })],
];

const ROUNDS = 300;
const WARM_UP = 50;
const BATCHES = 5;
const TOLERANCE = 0.1;

async function timeOf(call: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await call().catch(() => undefined);
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** The calls alternate, so that whatever else goes on meets both, and neither always comes first. */
class Comparison {
  readonly #known: number[] = [];
  readonly #unknown: number[] = [];

  async measure(request: Request, known: readonly string[], rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      const email = known[round % known.length] ?? '';
      const both = [
        async () => this.#known.push(await timeOf(() => request(service.auth, email))),
        async () => this.#unknown.push(await timeOf(() => request(service.auth, newEmail()))),
      ];
      for (const one of round % 2 ? both : both.reverse()) await one();
    }
  }

  /** How far the medians are from each other, as a share. */
  get difference(): number {
    const [known, unknown] = [median(this.#known), median(this.#unknown)];
    return Math.abs(known - unknown) / Math.max(known, unknown);
  }

  toString(): string {
    const [known, unknown] = [median(this.#known), median(this.#unknown)].map((time) => time.toFixed(2));
    return `known ${known} ms, unknown ${unknown} ms: ${(this.difference * 100).toFixed(1)} % over ${this.#known.length} pairs`;
  }
}

describe('takes as long for an email that nobody has as for one that somebody has', () => {
  it.each(REQUESTS)('%s', { timeout: 120_000 }, async (name, request) => {
    const known = Array.from({ length: 30 }, newEmail);
    for (const email of known) {
      await service.users.createUser({ email });
      await service.auth.requestLoginCode({ email });
    }
    await untilMailsAreSent(service);
    await new Comparison().measure(request, known, WARM_UP);

    // A busy machine blurs a measurement: it is made longer then. The pairs are kept, so a real difference only becomes clearer.
    const comparison = new Comparison();
    for (let batch = 1; batch <= BATCHES; batch++) {
      await comparison.measure(request, known, ROUNDS);
      if (comparison.difference < TOLERANCE) break;
    }
    process.stdout.write(`${name}: ${comparison}\n`);
    expect(comparison.difference, String(comparison)).toBeLessThan(TOLERANCE);
  });
});
