import type { Scenario } from '../bench.ts';
import { atLeast, ratioGoal } from '../goal.ts';
import type { Contestant } from '../interleave.ts';
import type { Measurement } from '../measurement.ts';
import { GET_USER, getUserRequests, grpcTarget, INTROSPECT_TOKEN, introspectTokenRequests, someUsers } from '../requests.ts';

const WORKERS = [1, 2];

/** Each worker compiles its code and fills its memory for itself. */
const STRETCH = 4;

/**
 * What a second worker brings, with as many connections to the database in total. On two cores, which client and database need as well, that
 * is little: the goals say what it may cost.
 */
export const cluster: Scenario = {
  name: 'cluster',
  share: 8,
  run: async (bench) => {
    const database = await bench.few();
    const numbers = someUsers(database.users);
    const calls = [
      ['IntrospectToken', INTROSPECT_TOKEN, introspectTokenRequests(numbers.slice(0, 2000))],
      ['GetUser', GET_USER, getUserRequests(numbers)],
    ] as const;
    const contestants: Contestant[] = [];
    for (const workers of WORKERS) {
      const service = await bench.service(database, { CLUSTER_WORKERS: String(workers) });
      for (const [name, path, requests] of calls) {
        const target = grpcTarget(service, path, requests, database.apiKey);
        contestants.push(await bench.contestant(`${name}, ${workers} worker${workers > 1 ? 's' : ''}`, service, { target }, STRETCH));
      }
    }
    const measurements = await bench.interleave(contestants, { warmUp: bench.options.warmUp * Math.max(...WORKERS) });
    const [introspectByOne, getByOne, introspectByTwo, getByTwo] = measurements as [Measurement, Measurement, Measurement, Measurement];
    const goals = [
      ratioGoal('IntrospectToken, throughput of 2 workers to 1', atLeast(0.8), 'perSecond', introspectByTwo, introspectByOne),
      ratioGoal('GetUser, throughput of 2 workers to 1', atLeast(0.8), 'perSecond', getByTwo, getByOne),
    ];
    return { measurements, goals };
  },
};
