import { availableParallelism } from 'node:os';
import { hashPassword } from '../../src/auth/passwords/password-scheme.ts';
import { type Bench, LOGINS_IN_FLIGHT, type Scenario } from '../bench.ts';
import { type Cost, PASSWORD } from '../database/seed.ts';
import { atLeast, ratioGoal } from '../goal.ts';
import type { Contestant } from '../interleave.ts';
import type { Measurement } from '../measurement.ts';
import { grpcTarget, LOGIN, loginRequests, someUsersOfCost } from '../requests.ts';
import { startHashProcess } from '../servers/hash-process.ts';

/** A hash of cost 12 takes a quarter of a second: short bursts would count too few. */
const STRETCH = 3;

/** Signing in, against the hash alone on all cores. */
export const login: Scenario = {
  name: 'login',
  share: 16,
  run: async (bench) => {
    const contestants = [hashes(bench, 10), await logins(bench, 10), hashes(bench, 12), await logins(bench, 12)];
    const measurements = await bench.interleave(contestants);
    const [hash10, login10, hash12, login12] = measurements as [Measurement, Measurement, Measurement, Measurement];
    const goals = [
      ratioGoal('Login (bcrypt 10), throughput to hash', atLeast(0.95), 'perSecond', login10, hash10),
      ratioGoal('Login (bcrypt 12), throughput to hash', atLeast(0.95), 'perSecond', login12, hash12),
    ];
    return { measurements, goals };
  },
};

async function logins(bench: Bench, cost: Cost): Promise<Contestant> {
  const database = await bench.few();
  const service = await bench.service(database, { BCRYPT_COST: String(cost) });
  const target = grpcTarget(service, LOGIN, loginRequests(someUsersOfCost(database.users, cost)), database.apiKey);
  return bench.contestant(`Login, bcrypt ${cost}`, service, { target, inFlight: LOGINS_IN_FLIGHT }, STRETCH);
}

function hashes(bench: Bench, bcryptCost: Cost): Contestant {
  const process = startHashProcess();
  bench.own(() => process.stop());
  const settings = { scheme: 'bcrypt', bcryptCost, pepper: '' } as const;
  const stored = hashPassword(PASSWORD, settings);
  const burst = async (seconds: number) => {
    const work = { password: PASSWORD, stored: await stored, settings };
    const { perSecond } = await process.count({ work, seconds });
    const each = (1000 * availableParallelism()) / perSecond;
    return { perSecond, p50: each, p99: each, serverCpu: each * 1000 };
  };
  return { name: `hash (ceiling), bcrypt ${bcryptCost}`, burst, stretch: STRETCH };
}
