import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../bench.ts';
import { emailOf, PASSWORD } from '../database/seed.ts';
import { atLeast, atMost, type Goal, goal } from '../goal.ts';
import { LoginClient, type PacedLogin, type PacedLogins } from '../load/paced-logins.ts';
import type { Measurement } from '../measurement.ts';
import { someUsersOfCost } from '../requests.ts';
import { median } from '../statistics.ts';
import { DEADLINE_MS } from './during-logins.ts';

const COST = 12;
/** Five times of what two cores can hash. */
const ATTACKS_PER_SECOND = 40;
const OWNERS_PER_SECOND = 2;
const ADDRESSES = [1, 10, 200];
/** Those who own accounts, each at an address of their own; they come again after a minute. */
const OWNERS = 120;
/** In which the queue of hashes becomes full. */
const RISE_MS = 5000;
const SECONDS = { quick: 4, full: 30 };
const PERCENT = 100;

/** Sign-in of account owners while somebody guesses at unknown emails from some addresses, more than the machine can hash for. */
export const fairLogins: Scenario = {
  name: 'fair-logins',
  share: 8,
  run: async (bench) => {
    const database = await bench.few();
    const service = await bench.service(database, { BCRYPT_COST: String(COST) });
    const client = new LoginClient(service.port, database.apiKey, DEADLINE_MS);
    bench.own(async () => client.close());
    const owners = ownersOf(someUsersOfCost(database.users, COST, OWNERS).slice(0, OWNERS).map(emailOf));
    const { quick } = bench.options;
    const signIns = () => client.run(owners, AbortSignal.timeout((quick ? SECONDS.quick : SECONDS.full) * 1000));
    const besideAttack = async (addresses: number) => {
      bench.report(`owners beside ${addresses} addresses of an attacker`);
      const ending = new AbortController();
      const attack = client.run(attackFrom(addresses), ending.signal);
      await sleep(RISE_MS);
      const logins = await signIns();
      ending.abort();
      return { logins, guesses: await attack };
    };
    bench.report('owners alone');
    const alone = await signIns();
    const measurements = [measured('owners alone', alone)];
    const goals: Goal[] = [];
    for (const addresses of quick ? ADDRESSES.slice(0, 1) : ADDRESSES) {
      const { logins, guesses } = await besideAttack(addresses);
      const name = `owners, attack from ${addresses} address${addresses === 1 ? '' : 'es'}`;
      measurements.push(measured(name, logins));
      const letIn = (PERCENT * okOf(logins).length) / logins.length;
      goals.push(
        goal(`${name}: let in`, atLeast(95, '%'), [letIn], `${tally(logins)}; guesses: ${tally(guesses)}`),
        goal(`${name}: median to alone`, atMost(2), [medianOf(logins) / medianOf(alone)]),
      );
    }
    return { measurements, goals };
  },
};

function ownersOf(emails: readonly string[]): PacedLogins {
  const next = (number: number) => {
    const owner = number % emails.length;
    return { email: emails[owner], password: PASSWORD, client: at(`198.51.100.${owner}`) };
  };
  return { perSecond: OWNERS_PER_SECOND, next };
}

function attackFrom(addresses: number): PacedLogins {
  const next = (number: number) => ({
    email: `nobody-${addresses}-${number}@example.com`,
    password: 'a guess',
    client: at(`203.0.113.${number % addresses}`),
  });
  return { perSecond: ATTACKS_PER_SECOND, next };
}

const at = (ipAddress: string) => ({ ipAddress, userAgent: '', deviceName: '' });

const okOf = (logins: readonly PacedLogin[]) => logins.filter(({ code }) => code === 'OK');

/** Of those who got in. */
const medianOf = (logins: readonly PacedLogin[]) => median(okOf(logins).map(({ ms }) => ms));

function measured(name: string, logins: readonly PacedLogin[]): Measurement {
  const times = okOf(logins)
    .map(({ ms }) => ms)
    .sort((a, b) => a - b);
  const [p50, p99] = [median(times), times.at(Math.ceil(times.length * 0.99) - 1) ?? Number.NaN];
  return { name, samples: [{ perSecond: (OWNERS_PER_SECOND * times.length) / logins.length, p50, p99 }] };
}

function tally(logins: readonly PacedLogin[]): string {
  const counts = new Map<string, number>();
  for (const { code } of logins) counts.set(code, (counts.get(code) ?? 0) + 1);
  return Array.from(counts, ([code, times]) => `${code} ${times}`).join(', ');
}
