import type { Scenario } from '../bench.ts';
import { atLeast, atMost, ratioGoal } from '../goal.ts';
import type { Measurement } from '../measurement.ts';
import { CEILING_PATH, grpcTarget, INTROSPECT_TOKEN, introspectTokenRequests, someUsers } from '../requests.ts';

/** The call that every request of every product makes, against a handler that does nothing. */
export const introspect: Scenario = {
  name: 'introspect',
  share: 6,
  run: async (bench) => {
    const database = await bench.few();
    const requests = introspectTokenRequests(someUsers(database.users, 2000));
    const service = await bench.sharedService();
    const echo = await bench.ceiling('echo');
    const measurements = await bench.interleave([
      await bench.contestant('echo (ceiling)', echo, { target: grpcTarget(echo, CEILING_PATH, requests) }),
      await bench.contestant('IntrospectToken', service, { target: grpcTarget(service, INTROSPECT_TOKEN, requests, database.apiKey) }),
    ]);
    const [ceiling, ours] = measurements as [Measurement, Measurement];
    const goals = [
      ratioGoal('IntrospectToken, throughput to echo', atLeast(0.85), 'perSecond', ours, ceiling),
      ratioGoal('IntrospectToken, p99 to echo', atMost(1.5), 'p99', ours, ceiling),
    ];
    return { measurements, goals };
  },
};
