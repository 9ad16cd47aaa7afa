import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { observe, type Scenario } from '../bench.ts';
import type { Cost } from '../database/seed.ts';
import { atMost, goal, ratioGoal } from '../goal.ts';
import type { Contestant } from '../interleave.ts';
import type { LoginStorm } from '../load/login-storm.ts';
import type { StormCount } from '../load/login-storm-process.ts';
import type { Measurement } from '../measurement.ts';
import { grpcTarget, INTROSPECT_TOKEN, introspectTokenRequests, someUsers } from '../requests.ts';
import { DEADLINE_MS, duringLogins, startLogins } from './during-logins.ts';

/** More than the queue of a service holds: 32 for each core, at least 64, and one in each thread. */
const CALLERS = Math.max(32 * availableParallelism(), 64) + availableParallelism() + 8;

/** Calls a second beside the logins: a product at work, not another flood. */
const PACE = 250;
const STRETCH = 3;
/** Enough for all tokens, and for the code to be compiled. */
const WARM_UP_SECONDS = 2;

/** Other calls while more people log in than the machine can hash for. */
export const saturation: Scenario = {
  name: 'saturation',
  share: 12,
  run: async (bench) => {
    const cost: Cost = bench.options.quick ? 10 : 12;
    const database = await bench.few();
    const service = await bench.service(database, { BCRYPT_COST: String(cost) });
    const target = grpcTarget(service, INTROSPECT_TOKEN, introspectTokenRequests(someUsers(database.users, 2000)), database.apiKey);
    // Each token once: one that the service has never seen asks the database, and is not what a second of a product at work is made of.
    await (await bench.load({ target })).burst(WARM_UP_SECONDS);
    const load = await bench.load({ target, perSecond: PACE });
    const idle: Contestant = {
      name: `IntrospectToken, ${PACE}/s, idle`,
      stretch: STRETCH,
      burst: (seconds) => observe(service, () => load.burst(seconds)),
    };
    const busy: Contestant = {
      name: `IntrospectToken, ${PACE}/s, logins saturate`,
      warm: true,
      stretch: STRETCH,
      burst: (seconds) => duringLogins(startLogins(service, database, cost, CALLERS), () => load.burst(seconds)),
    };
    const measurements = await bench.interleave([idle, busy]);
    const [quiet, loud] = measurements as [Measurement, Measurement];
    bench.report('a storm of logins until everybody is answered');
    const [wrong, note] = judge(await answeredLogins(startLogins(service, database, cost, CALLERS), bench.options.seconds));
    const goals = [
      ratioGoal('IntrospectToken while logins saturate, p99 to idle', atMost(1.5), 'p99', loud, quiet),
      goal(`Logins past their deadline of ${DEADLINE_MS / 1000} s or shed without RetryInfo`, atMost(0, ''), [wrong], note),
    ];
    return { measurements, goals };
  },
};

async function answeredLogins(starting: Promise<LoginStorm>, seconds: number): Promise<StormCount> {
  const storm = await starting;
  await sleep(Math.max(1, seconds) * 1000);
  return storm.stop('when answered');
}

/** How many were not treated as promised, and what else there is to say. */
function judge({
  loggedIn,
  shed,
  shedWithoutRetryInfo,
  pastDeadline,
  unexpected,
  longestWaitMs,
}: StormCount): [wrong: number, note: string] {
  const failures = Object.entries(unexpected);
  const wrong = failures.reduce((sum, [, times]) => sum + times, shedWithoutRetryInfo + pastDeadline);
  const told = `${loggedIn} logged in, ${shed} shed with RetryInfo, longest wait ${(longestWaitMs / 1000).toFixed(1)} s`;
  return [wrong, [told, ...failures.map(([code, times]) => `${code} ${times}`)].join(', ')];
}
