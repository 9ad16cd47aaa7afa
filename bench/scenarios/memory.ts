import { type Bench, POOL_MAX, type Scenario } from '../bench.ts';
import type { SeededDatabase } from '../database/postgres.ts';
import { atMost, goal } from '../goal.ts';
import type { OpenLoad } from '../load/generator.ts';
import {
  GET_USER,
  getUserRequests,
  grpcTarget,
  INTROSPECT_TOKEN,
  introspectTokenRequests,
  REFRESH_CHAIN,
  REFRESH_TOKEN,
  refreshTokenRequests,
  someUsers,
} from '../requests.ts';
import type { ServerProcess } from '../servers/server-process.ts';
import { slope } from '../statistics.ts';

/** Apart from the users whose tokens other scenarios have rotated. */
const REFRESHING_FROM = 2000;
/** How long memory is watched, in parts of the calls that went before. */
const WATCH = 0.25;
const MEGA = 1e6;
const REPORT_EVERY = 10;

type Point = readonly [calls: number, mb: number];

/** Resident memory after many calls, and whether it still grows. */
export const memory: Scenario = {
  name: 'memory',
  share: 7,
  run: async (bench) => {
    const database = await bench.few();
    const service = await bench.service(database);
    const loads = await openLoads(bench, service, database);
    const atStart = (await service.usage()).rss / MEGA;
    const points: Point[] = [];
    const callUntil = async (calls: number, seconds: number) => {
      const deadline = performance.now() + seconds * 1000;
      for (let last = points.at(-1)?.[0] ?? 0; last < calls && performance.now() < deadline; ) {
        const load = loads[points.length % loads.length] as OpenLoad;
        last += (await load.burst(bench.options.seconds)).requests;
        points.push([last, (await service.usage()).rss / MEGA]);
        if (points.length % REPORT_EVERY === 0) bench.report(`${last.toLocaleString('en')} calls`);
      }
      return points.at(-1) ?? [0, atStart];
    };
    const { calls, seconds } = bench.options.memory;
    const [called, reached] = await callUntil(calls, seconds);
    const watchedFrom = points.length - 1;
    const [, end] = await callUntil(called * (1 + WATCH), Number.POSITIVE_INFINITY);
    const watched = points.slice(watchedFrom);
    const perHundredThousand = slope(watched) * 100_000;
    const after = `after ${called.toLocaleString('en')} calls`;
    const goals = [
      goal(`Memory ${after}`, atMost(180, 'MB'), [reached], `${Math.round(atStart)} MB at start`),
      goal(
        `Memory, growth over a quarter as many calls more`,
        atMost(1.05),
        [end / reached],
        growthNote(perHundredThousand, watched.length),
      ),
    ];
    return { measurements: [], goals };
  },
};

const growthNote = (mb: number, points: number) => (points < 3 ? '' : `slope ${mb.toFixed(2)} MB per 100,000 calls`);

async function openLoads(bench: Bench, service: ServerProcess, { users, apiKey }: SeededDatabase): Promise<OpenLoad[]> {
  const numbers = someUsers(users);
  const target = (path: string, requests: Uint8Array[]) => grpcTarget(service, path, requests, apiKey);
  const refreshing = numbers.slice(REFRESHING_FROM, REFRESHING_FROM + POOL_MAX);
  return [
    await bench.load({ target: target(INTROSPECT_TOKEN, introspectTokenRequests(numbers.slice(0, 2000))) }),
    await bench.load({ target: target(GET_USER, getUserRequests(numbers)) }),
    await bench.load({ target: target(REFRESH_TOKEN, refreshTokenRequests(refreshing)), inFlight: POOL_MAX, chain: REFRESH_CHAIN }),
  ];
}
