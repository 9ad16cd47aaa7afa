import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, LOGINS_IN_FLIGHT, observe, type Scenario } from '../bench.ts';
import { type Cost, emailOf, PASSWORD } from '../database/seed.ts';
import { atLeast, atMost, type Goal, ratioGoal } from '../goal.ts';
import type { Contestant } from '../interleave.ts';
import type { OpenLoad } from '../load/generator.ts';
import type { Measurement } from '../measurement.ts';
import { installPeer } from '../peer-process/install.ts';
import { cookiesOf, getSessionRequests, seedPeer, signInRequests, signUpRequests, startPeer } from '../peer-process/peer.ts';
import {
  grpcTarget,
  INTROSPECT_TOKEN,
  introspectTokenRequests,
  LOGIN,
  loginRequests,
  REGISTER,
  registerRequests,
  someUsers,
  someUsersOfCost,
} from '../requests.ts';
import type { ServerProcess } from '../servers/server-process.ts';
import { duringLogins, RISE_MS, startLogins, withoutServerCpu } from './during-logins.ts';

/** better-auth, which is what a team would take otherwise: the same PostgreSQL, driver, pool, hash and cost. */
export const peer: Scenario = {
  name: 'peer',
  share: 29,
  run: async (bench) => {
    const refusal = await installPeer(bench.report);
    if (refusal !== undefined) {
      bench.progress.notice(`better-auth was skipped, it could not be installed: ${refusal}`);
      return { measurements: [], goals: [] };
    }
    return compare(bench);
  },
};

const COST: Cost = 10;
const CALLERS = 32;
const SESSIONS = 16;
/** All cores hash and others wait; fewer than a service would shed, so that both have the same to do. */
const STORM_CALLERS = 16 * availableParallelism();
const STRETCH = 3;

async function compare(bench: Bench) {
  const ours = await ourContestants(bench);
  const theirs = await theirContestants(bench);
  const pairs = ours.flatMap((contestant, index) => [contestant, theirs[index] as Contestant]);
  const cached = theirs.slice(ours.length);
  const measurements = await bench.interleave([...pairs, ...cached]);
  const [validation, session, stormValidation, stormSession, login, signIn, register, signUp] = measurements as [
    Measurement,
    Measurement,
    Measurement,
    Measurement,
    Measurement,
    Measurement,
    Measurement,
    Measurement,
  ];
  const goals: Goal[] = [
    ratioGoal('Session validation, throughput to better-auth', atLeast(20), 'perSecond', validation, session),
    ratioGoal('Session validation while logins saturate, to better-auth', atLeast(100), 'perSecond', stormValidation, stormSession),
    ratioGoal('Sign-in, throughput to better-auth', atLeast(1), 'perSecond', login, signIn),
    ratioGoal('Sign-up, throughput to better-auth', atLeast(1), 'perSecond', register, signUp),
    ratioGoal('Memory, to better-auth', atMost(0.5), 'rss', register, signUp),
  ];
  return { measurements, goals };
}

/** In the order of theirs. */
async function ourContestants(bench: Bench): Promise<Contestant[]> {
  const database = await bench.few();
  const service = await bench.service(database, { BCRYPT_COST: String(COST) });
  const target = (path: string, requests: Uint8Array[]) => grpcTarget(service, path, requests, database.apiKey);
  // Of people who do not log in meanwhile, again and again, until their first session is one too many.
  const signedIn = someUsers(database.users).slice(-SESSIONS);
  const validation = target(INTROSPECT_TOKEN, introspectTokenRequests(signedIn));
  const load = await bench.load({ target: validation, inFlight: CALLERS });
  const logins = { target: target(LOGIN, loginRequests(someUsersOfCost(database.users, COST))), inFlight: LOGINS_IN_FLIGHT };
  const registers = { target: target(REGISTER, registerRequests('peer')), inFlight: LOGINS_IN_FLIGHT };
  return [
    { name: 'IntrospectToken', burst: (seconds) => observe(service, () => load.burst(seconds)) },
    {
      name: 'IntrospectToken, logins saturate',
      warm: true,
      burst: (seconds) => duringLogins(startLogins(service, database, COST, STORM_CALLERS), () => load.burst(seconds)),
    },
    await bench.contestant(`Login, bcrypt ${COST}`, service, logins, STRETCH),
    await bench.contestant(`Register, bcrypt ${COST}`, service, registers, STRETCH),
  ];
}

async function theirContestants(bench: Bench): Promise<Contestant[]> {
  const database = await bench.postgres.empty('better_auth');
  const server = await startPeer(bench, database, { bcryptCost: COST, cookieCache: false });
  await seedPeer(database, bench.options.users.few, COST);
  const numbers = someUsersOfCost(bench.options.users.few, COST);
  const load = await sessionLoad(bench, server, numbers);
  const http = (requests: Uint8Array[], callers: number) => ({
    target: { protocol: 'http1', port: server.port, requests } as const,
    inFlight: callers,
    connections: callers,
  });
  const signIns = signInRequests(numbers.map(emailOf), PASSWORD);
  const storm = await bench.load(http(signIns, STORM_CALLERS));
  return [
    { name: 'better-auth get-session', burst: (seconds) => observe(server, () => load.burst(seconds)) },
    { name: 'better-auth get-session, sign-ins saturate', warm: true, burst: (seconds) => besideSignIns(storm, load, seconds) },
    await bench.contestant(`better-auth sign-in, bcrypt ${COST}`, server, http(signIns, LOGINS_IN_FLIGHT), STRETCH),
    await bench.contestant(
      `better-auth sign-up, bcrypt ${COST}`,
      server,
      http(signUpRequests('peer', PASSWORD), LOGINS_IN_FLIGHT),
      STRETCH,
    ),
    await cachedSessions(bench, database, numbers),
  ];
}

/** What better-auth does where revocation may wait for five minutes. */
async function cachedSessions(bench: Bench, databaseUrl: string, numbers: readonly number[]): Promise<Contestant> {
  const server = await startPeer(bench, databaseUrl, { bcryptCost: COST, cookieCache: true });
  const load = await sessionLoad(bench, server, numbers);
  return { name: 'better-auth get-session, cookie cache', burst: (seconds) => observe(server, () => load.burst(seconds)) };
}

async function sessionLoad(bench: Bench, server: ServerProcess, numbers: readonly number[]): Promise<OpenLoad> {
  const cookies = await cookiesOf(server, numbers.slice(0, SESSIONS).map(emailOf), PASSWORD);
  return bench.load({
    target: { protocol: 'http1', port: server.port, requests: getSessionRequests(cookies), bodyContains: '"session"' },
    inFlight: CALLERS,
    connections: CALLERS,
  });
}

/** The next burst begins when the last one who signs in has been answered. */
async function besideSignIns(storm: OpenLoad, load: OpenLoad, seconds: number) {
  const storming = storm.burst(RISE_MS / 1000 + seconds);
  // Awaited below; until then, a failure is not one that nobody looks after.
  storming.catch(() => undefined);
  try {
    await sleep(RISE_MS);
    return withoutServerCpu(await load.burst(seconds));
  } finally {
    await storming;
  }
}
