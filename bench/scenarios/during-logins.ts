import { setTimeout as sleep } from 'node:timers/promises';
import type { SeededDatabase } from '../database/postgres.ts';
import { type Cost, emailOf, PASSWORD } from '../database/seed.ts';
import type { Burst } from '../load/load.ts';
import { type LoginStorm, startLoginStorm } from '../load/login-storm.ts';
import type { Sample } from '../measurement.ts';
import { someUsersOfCost } from '../requests.ts';
import type { ServerProcess } from '../servers/server-process.ts';

export const DEADLINE_MS = 10_000;
/** Until enough are waiting. */
export const RISE_MS = 500;

/** As many people as `callers` keep logging in. */
export function startLogins({ port }: ServerProcess, { apiKey, users }: SeededDatabase, cost: Cost, callers: number): Promise<LoginStorm> {
  const emails = someUsersOfCost(users, cost, callers).slice(0, callers).map(emailOf);
  return startLoginStorm({ port, apiKey, emails, password: PASSWORD, deadlineMs: DEADLINE_MS });
}

/** Measures something while people log in. */
export async function duringLogins(starting: Promise<LoginStorm>, burst: () => Promise<Burst>): Promise<Sample> {
  const storm = await starting;
  await sleep(RISE_MS);
  // However the burst ends, the storm ends first.
  const [measured] = await Promise.allSettled([burst()]);
  const { unexpected } = await storm.stop('at once');
  if (measured.status === 'rejected') throw measured.reason;
  if (Object.keys(unexpected).length > 0) throw new Error(`logins failed: ${JSON.stringify(unexpected)}`);
  return withoutServerCpu(measured.value);
}

/** The server's processor time goes into the logins, so none is told. */
export function withoutServerCpu({ requests, seconds, p50, p99, clientCpu }: Burst): Sample {
  return { perSecond: requests / seconds, p50, p99, clientCpu: clientCpu / requests };
}
