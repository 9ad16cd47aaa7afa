import type { Pool } from 'pg';
import { KeyUsage } from '../access/api-keys/key-usage.ts';
import { recogniseApiKeys } from '../access/api-keys/recognised-api-key.repository.ts';
import { recogniseServiceAccounts } from '../access/service-accounts/recognised-service-account.repository.ts';
import { changesAuthorization } from '../audit/audit-event-types.ts';
import type { Recorded } from '../audit/audit-log.ts';
import { EmailChanges } from '../auth/email-change/email-changes.ts';
import { recogniseSessions } from '../auth/introspection/live-session.repository.ts';
import { LiveSessions } from '../auth/introspection/live-sessions.ts';
import { TokenIntrospection } from '../auth/introspection/token-introspection.ts';
import { OneTimeTokens } from '../auth/one-time-tokens/one-time-tokens.ts';
import { BreachCheck } from '../auth/passwords/breach-check.ts';
import { hashThreads } from '../auth/passwords/hash-pool.ts';
import { Passwords, type PasswordsDeps } from '../auth/passwords/passwords.ts';
import { AccessTokens } from '../auth/tokens/access-tokens.ts';
import { EpochCache } from '../callers/epoch-cache.ts';
import { KeyLookUps } from '../callers/key-look-ups.ts';
import { CoalescedReads } from '../concurrency/coalesced-reads.ts';
import { endsWithin, tellUnlessEnded } from '../concurrency/time-limit.ts';
import type { Config } from '../config.ts';
import { requireCurrentSchema } from '../database/migrations.ts';
import { poolBeside, poolOf } from '../database/orm.ts';
import { PreparedStatements } from '../database/prepared.ts';
import { requireDatabase } from '../database/require-database.ts';
import { tracedPool } from '../database/traced-statements.ts';
import { ChangeTail } from '../events/change-tail.ts';
import { countUnseenEvents } from '../events/event.repository.ts';
import { createLog, type Log } from '../observability/log.ts';
import { Metrics, type Snapshot } from '../observability/metrics/metrics.ts';
import { CurrentSpan } from '../observability/tracing/current-span.ts';
import { openTracer, type Step } from '../observability/tracing/tracer.ts';
import { MailBounds } from '../rate-limits/mail-bounds.ts';
import { RateLimits } from '../rate-limits/rate-limits.ts';
import type { HealthOfAll } from '../rpc/health.ts';
import type { ConnectionLimits } from '../rpc/server.ts';
import { SealedText } from '../secrets/sealed-text.ts';
import { SessionActivity } from '../sessions/activity.ts';
import { samplePasswordHashes } from '../users/password-hash-sample.repository.ts';
import { findUserViews } from '../users/user-view.repository.ts';
import { openServiceOrm } from './orm.ts';

/** The time in which the connections to the database are closed: they are idle by then. */
const CLOSE_MS = 1000;

/** The things that tests replace: the clock, and limits that nobody wants to wait for. */
export interface Overrides {
  readonly now?: () => Date;
  readonly connections?: Partial<ConnectionLimits>;
  /** The time in which changes gather before they are turned into mails. */
  readonly mailGatherMs?: number;
}

/** The settings after the start has filled in what the embedded database keeps by itself. */
export interface Connection {
  readonly databaseUrl: string;
  readonly secretKey: string;
  /** Absent: this process serves alone. */
  readonly team?: Team;
}

/** One of several processes that answer on the same port, and what it has in common with the others. */
export interface Team {
  /** The number of this process, from 1. */
  readonly number: number;
  readonly health: HealthOfAll;
  /** Others ask for the metrics, to add them up. */
  offerMetrics(snapshot: () => Promise<Snapshot>): void;
}

/** The things that live as long as the service and are shared by its features. */
export type Resources = Awaited<ReturnType<typeof openResources>>;

/** Begins them; `begun` ends them in the opposite order. Throws where the schema of the database is behind. */
export async function openResources(
  config: Config,
  { databaseUrl, secretKey, team }: Connection,
  overrides: Overrides,
  begun: AsyncDisposableStack,
) {
  const span = new CurrentSpan();
  const log = createLog(config.logLevel, { worker: team?.number, current: span.ids, access: config.accessLog });
  const { tracing } = config;
  const tracer = tracing && begun.adopt(await openTracer(tracing, span, log), (it) => it.close());
  const step = tracer?.step;
  const metrics = new Metrics();
  const { poolMin, poolMax, forCallers } = poolOfOne(config);
  // A pool waits for every connection that was taken from it.
  const closed = (closing: Promise<void>) => tellUnlessEnded(log, 'database connections', endsWithin(CLOSE_MS, closing));
  // An answer is in force: a key that is revoked here, or a session that ends, has ended here before the answer, which waits for no tail.
  const told = ({ type, event }: Recorded) => {
    metrics.auditEvents.inc({ type });
    if (changesAuthorization(type)) tail.authorizationChanged();
    if (event) tail.tell(event);
  };
  const orm = begun.adopt(await openServiceOrm({ url: databaseUrl, poolMin, poolMax, trace: step }, told), (it) => closed(it.close()));
  const passwords = begun.adopt(createPasswords(config, { metrics, log, step, sample: () => samplePasswordHashes(orm.em.fork()) }), (it) =>
    it.close(),
  );
  await requireDatabase(orm);
  await requireCurrentSchema(orm);
  await passwords.learnSchemes();
  const ownPool = await poolOf(orm);
  const traced = (pool: Pool) => (step ? tracedPool(pool, step) : pool);
  const pool = traced(ownPool);
  const ownCallersPool = forCallers === 0 ? ownPool : begun.adopt(poolBeside(ownPool, forCallers), (it) => closed(it.end()));
  const callersPool = traced(ownCallersPool);
  const [db, callersDb] = [new PreparedStatements(pool), new PreparedStatements(callersPool)];
  const tail = begun.adopt(new ChangeTail(new PreparedStatements(ownCallersPool)), (it) => it.stop());
  measure(metrics, { passwords, pools: [...new Set([ownPool, ownCallersPool])], tail, orm });
  const now = overrides.now ?? (() => new Date());
  const activity = begun.adopt(new SessionActivity(orm.em), (it) => it.stop());
  const liveSessions = new LiveSessions((ids) => recogniseSessions(callersDb, ids, config.sessionMaxAge), tail);
  const apiKeys = new CoalescedReads((hashes) => recogniseApiKeys(callersDb, hashes));
  const accessTokens = new AccessTokens(config.jwt, secretKey);
  return {
    now,
    log,
    tracer,
    metrics,
    orm,
    pool,
    db,
    secretKey,
    team,
    passwords,
    tail,
    keyUsage: begun.adopt(new KeyUsage(orm.em), (it) => it.stop()),
    cache: new EpochCache(tail),
    apiKeys,
    keyLookUps: new KeyLookUps(apiKeys),
    serviceAccounts: new CoalescedReads((names) => recogniseServiceAccounts(callersDb, names)),
    introspection: new TokenIntrospection({ liveSessions, activity, accessTokens, now }),
    activity,
    userLookup: new CoalescedReads((ids) => findUserViews(db, ids)),
    rateLimits: new RateLimits({ ofCalls: callersPool, ofCredentials: db }, config.rateLimits, secretKey, log),
    mailBounds: new MailBounds(db, secretKey),
    accessTokens,
    oneTimeTokens: new OneTimeTokens(secretKey),
    emailChanges: new EmailChanges(secretKey),
    sealed: new SealedText(secretKey, 'mail'),
  };
}

/**
 * The connections are for all workers together: each has its part. Of that a quarter, at most two, is for what has to be known of a caller
 * before a call can begin: it must not wait behind calls that wait for each other, or all of them would find nobody known in the end.
 */
function poolOfOne({ database, workers }: Config) {
  const ofOne = Math.floor(database.poolMax / workers);
  const forCallers = Math.min(2, Math.floor(ofOne / 4));
  const poolMax = ofOne - forCallers;
  return { poolMin: Math.min(poolMax, Math.floor(database.poolMin / workers)), poolMax, forCallers };
}

function createPasswords(
  { passwords, serviceName, workers }: Config,
  { metrics, log, step, sample }: Pick<PasswordsDeps, 'sample'> & { metrics: Metrics; log: Log; step: Step | undefined },
): Passwords {
  const { breachCheckUrl } = passwords;
  const onFailure = () => metrics.breachCheckFailures.inc();
  const breachCheck = breachCheckUrl === undefined ? undefined : new BreachCheck(breachCheckUrl, { log, onFailure });
  return new Passwords(passwords, { serviceName, breachCheck, sample, metrics, step, threads: hashThreads(workers) });
}

interface Measured extends Pick<Resources, 'passwords' | 'tail' | 'orm'> {
  readonly pools: readonly Pool[];
}

function measure(metrics: Metrics, { passwords, pools, tail, orm }: Measured): void {
  metrics.gauge('identity_hash_queue_length', 'Passwords that wait for a thread to be hashed on.', () => passwords.waiting);
  metrics.gauge('identity_database_connections_in_use', 'Of the pool.', () =>
    sum(pools, ({ totalCount, idleCount }) => totalCount - idleCount),
  );
  metrics.gauge('identity_database_connections_waited_for', 'By how many calls.', () => sum(pools, ({ waitingCount }) => waitingCount));
  const lag = () => tail.lagSeconds();
  metrics.gauge('identity_events_lag_seconds', 'How long ago everything that others had committed was known here.', lag, 'max');
  const unseen = () => countUnseenEvents(orm.em.fork(), 'mail');
  metrics.gauge('identity_mail_events_unseen', 'Events that were not yet turned into mails, 10,000 at most.', unseen, 'max');
}

function sum<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((total, one) => total + of(one), 0);
}
