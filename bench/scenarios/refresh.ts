import { POOL_MAX, type Scenario } from '../bench.ts';
import { atLeast, ratioGoal } from '../goal.ts';
import type { Measurement } from '../measurement.ts';
import { CEILING_PATH, grpcTarget, REFRESH_CHAIN, REFRESH_TOKEN, refreshTokenRequests, sessionIdRequests, someUsers } from '../requests.ts';

/** Rotation, against one committed UPDATE. */
export const refresh: Scenario = {
  name: 'refresh',
  share: 4,
  run: async (bench) => {
    const database = await bench.few();
    const numbers = someUsers(database.users);
    const service = await bench.sharedService();
    const write = await bench.ceiling('write', database);
    const inFlight = POOL_MAX;
    const writes = grpcTarget(write, CEILING_PATH, sessionIdRequests(numbers));
    const rotations = grpcTarget(service, REFRESH_TOKEN, refreshTokenRequests(numbers.slice(0, inFlight)), database.apiKey);
    const measurements = await bench.interleave([
      await bench.contestant('write (ceiling)', write, { target: writes, inFlight }),
      await bench.contestant('RefreshToken', service, { target: rotations, inFlight, chain: REFRESH_CHAIN }),
    ]);
    const [ceiling, ours] = measurements as [Measurement, Measurement];
    return { measurements, goals: [ratioGoal('RefreshToken, throughput to write', atLeast(0.6), 'perSecond', ours, ceiling)] };
  },
};
