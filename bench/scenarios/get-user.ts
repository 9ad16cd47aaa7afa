import type { Scenario } from '../bench.ts';
import { atLeast, atMost, ratioGoal } from '../goal.ts';
import type { Measurement } from '../measurement.ts';
import { BATCH_GET_USERS, batchGetUsersRequests, CEILING_PATH, GET_USER, getUserRequests, grpcTarget, someUsers } from '../requests.ts';

/** As many callers as the pool has connections: neither side has to queue for one. */
const FEW_CALLERS = 10;
const MANY_CALLERS = 25;
const BATCH = 100;

/** Reading users, against one prepared SELECT. */
export const getUser: Scenario = {
  name: 'get-user',
  share: 8,
  run: async (bench) => {
    const database = await bench.few();
    const numbers = someUsers(database.users);
    const requests = getUserRequests(numbers);
    const service = await bench.sharedService();
    const read = await bench.ceiling('read', database);
    const ceiling = (inFlight: number) =>
      bench.contestant(`read (ceiling), ${inFlight} callers`, read, { target: grpcTarget(read, CEILING_PATH, requests), inFlight });
    const get = (inFlight: number) =>
      bench.contestant(`GetUser, ${inFlight} callers`, service, {
        target: grpcTarget(service, GET_USER, requests, database.apiKey),
        inFlight,
      });
    const batches = grpcTarget(service, BATCH_GET_USERS, batchGetUsersRequests(numbers, BATCH), database.apiKey);
    const measurements = await bench.interleave([
      await ceiling(FEW_CALLERS),
      await get(FEW_CALLERS),
      await ceiling(MANY_CALLERS),
      await get(MANY_CALLERS),
      await bench.contestant(`BatchGetUsers of ${BATCH}, ${FEW_CALLERS} callers`, service, { target: batches, inFlight: FEW_CALLERS }),
    ]);
    const [readFew, getFew, readMany, getMany, batch] = measurements as [Measurement, Measurement, Measurement, Measurement, Measurement];
    const goals = [
      ratioGoal(`GetUser, throughput to read, ${FEW_CALLERS} callers`, atLeast(0.8), 'perSecond', getFew, readFew),
      ratioGoal(`GetUser, throughput to read, ${MANY_CALLERS} callers`, atLeast(1), 'perSecond', getMany, readMany),
      // Throughput the other way round is what one costs in terms of the other.
      ratioGoal(`BatchGetUsers of ${BATCH}, cost in GetUsers`, atMost(8), 'perSecond', getFew, batch),
    ];
    return { measurements, goals };
  },
};
