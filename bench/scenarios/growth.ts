import { type Bench, POOL_MAX, type Scenario } from '../bench.ts';
import type { SeededDatabase } from '../database/postgres.ts';
import { atMost, ratioGoal } from '../goal.ts';
import type { Contestant } from '../interleave.ts';
import type { Measurement } from '../measurement.ts';
import {
  GET_USER,
  getUserRequests,
  grpcTarget,
  LOGIN,
  loginRequests,
  REFRESH_CHAIN,
  REFRESH_TOKEN,
  refreshTokenRequests,
  someUsers,
  someUsersOfCost,
} from '../requests.ts';

/** Sets the refreshing users apart from those of other scenarios, which have rotated the tokens that the sessions began with. */
const REFRESHING_FROM = 1000;

/** What a hundred times as many users cost. Logins hash at the lowest cost there is, about a millisecond, to show what is around it. */
export const growth: Scenario = {
  name: 'growth',
  share: 11,
  run: async (bench) => {
    const few = await contestants(bench, await bench.few());
    const many = await contestants(bench, await bench.many());
    const measurements = await bench.interleave(few.flatMap((contestant, index) => [contestant, many[index] as Contestant]));
    const [getFew, getMany, loginFew, loginMany, refreshFew, refreshMany] = measurements as [
      Measurement,
      Measurement,
      Measurement,
      Measurement,
      Measurement,
      Measurement,
    ];
    const { few: small, many: large } = bench.options.users;
    const from = `from ${small.toLocaleString('en')} to ${large.toLocaleString('en')} users`;
    const goals = [
      // Throughput the other way round is what one costs in terms of the other.
      ratioGoal(`GetUser, growth of cost ${from}`, atMost(1.2), 'perSecond', getFew, getMany),
      ratioGoal(`Login (less hash), growth of cost ${from}`, atMost(1.2), 'perSecond', loginFew, loginMany),
      ratioGoal(`RefreshToken, growth of cost ${from}`, atMost(1.2), 'perSecond', refreshFew, refreshMany),
    ];
    return { measurements, goals };
  },
};

async function contestants(bench: Bench, database: SeededDatabase): Promise<Contestant[]> {
  const { users, apiKey } = database;
  const service = await bench.service(database, { BCRYPT_COST: '4' });
  const numbers = someUsers(users);
  const refreshing = numbers.slice(REFRESHING_FROM, REFRESHING_FROM + POOL_MAX);
  const of = `of ${users.toLocaleString('en')}`;
  const inFlight = POOL_MAX;
  const target = (path: string, requests: Uint8Array[]) => grpcTarget(service, path, requests, apiKey);
  return [
    await bench.contestant(`GetUser ${of}`, service, { target: target(GET_USER, getUserRequests(numbers)), inFlight }),
    await bench.contestant(`Login, bcrypt 4, ${of}`, service, {
      target: target(LOGIN, loginRequests(someUsersOfCost(users, 4))),
      inFlight,
    }),
    await bench.contestant(`RefreshToken ${of}`, service, {
      target: target(REFRESH_TOKEN, refreshTokenRequests(refreshing)),
      inFlight,
      chain: REFRESH_CHAIN,
    }),
  ];
}
