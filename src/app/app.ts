import type { Server } from '@grpc/grpc-js';
import { auditChores } from '../audit/audit-chores.ts';
import { lockoutChores } from '../auth/lockout/lockout-chores.ts';
import { oneTimeTokenChores } from '../auth/one-time-tokens/one-time-token-chores.ts';
import { endsWithin, tellUnlessEnded } from '../concurrency/time-limit.ts';
import type { Config } from '../config.ts';
import type { Orm } from '../database/orm.ts';
import { eventChores } from '../events/event-chores.ts';
import { startCleanup } from '../jobs/cleanup.ts';
import { openMailer } from '../mail/mailer.ts';
import { type MetricsServer, serveMetrics } from '../observability/metrics/metrics-server.ts';
import { rateLimitChores } from '../rate-limits/rate-limit-chores.ts';
import { releaseEndedCalls } from '../rpc/ended-calls.ts';
import { addHealth } from '../rpc/health.ts';
import { addReflection } from '../rpc/reflection.ts';
import { addService, createServer, drain, listen } from '../rpc/server.ts';
import { sessionChores } from '../sessions/session-chores.ts';
import { type Connection, type Overrides, openResources, type Resources } from './resources.ts';
import { runtimeOf, servicesOf } from './services.ts';

export interface App {
  readonly server: Server;
  readonly orm: Orm;
  readonly port: number;
  /** Where the metrics are, if anywhere. */
  readonly metricsPort: number | undefined;
  /** Health turns NOT_SERVING, calls in flight finish, then everything is closed. */
  close(): Promise<void>;
}

/** How long calls in flight may take when the service stops: with all that ends after them, less than the process has (main.ts). */
const DRAIN_MS = 6000;

/** The composition root: parts.ts and services.ts put the features together, this opens them for calls. */
export async function createApp(config: Config, connection: Connection, overrides: Overrides = {}): Promise<App> {
  // What has begun is ended in the opposite order: when the service closes, or at once where it cannot start.
  await using begun = new AsyncDisposableStack();
  const parts = await openResources(config, connection, overrides, begun);
  const server = createServer(overrides.connections);
  await releaseEndedCalls(parts.log);
  const ports = await serve(server, config, parts, begun, overrides);
  const running = begun.move();
  return { server, orm: parts.orm, ...ports, close: () => running.disposeAsync() };
}

async function serve(
  server: Server,
  config: Config,
  parts: Resources,
  begun: AsyncDisposableStack,
  { mailGatherMs }: Overrides,
): Promise<Pick<App, 'port' | 'metricsPort'>> {
  const { orm, pool, now, log, tail, oneTimeTokens, sealed, tracer, team } = parts;
  const runtime = runtimeOf(config, parts);
  const services = servicesOf(config, parts).map((service) => addService(server, service, runtime));
  const health = await addHealth(server, services, async () => void (await pool.query('select 1')), team?.health);
  begun.defer(() => health.stop());
  if (config.grpc.reflection) addReflection(server);
  const metricsServer = await offerMetrics(config, parts);
  begun.defer(() => metricsServer?.close());
  const mailerParts = { em: orm.em, now, log, sealed, tokens: oneTimeTokens, tail, tracer };
  const startMailer = await openMailer(config, mailerParts, mailGatherMs);
  await tail.start();
  const port = await listen(server, config.grpc);
  const stopMailer = startMailer();
  // Begun when the last span has ended, and waited for after everything else (parts.ts).
  begun.defer(() => void tracer?.close());
  // At the same time: each of them may have to wait for somebody outside.
  begun.defer(async () => {
    const mails = tellUnlessEnded(log, 'mails', endsWithin(DRAIN_MS, stopMailer()));
    await Promise.all([mails, tellUnlessEnded(log, 'calls', drain(server, { host: config.grpc.host, port }, DRAIN_MS))]);
  });
  // Several workers of one machine would all begin at the same moment, and wait for each other.
  if (!team || team.number === 1) begun.defer(startCleanup({ em: orm.em, now, log }, chores(config)));
  begun.defer(() => health.drain());
  return { port, metricsPort: metricsServer?.port };
}

/** At a port of their own; or, of several processes, to the one that has the port. */
async function offerMetrics({ metricsPort, grpc }: Config, { metrics, team }: Resources): Promise<MetricsServer | undefined> {
  if (metricsPort === undefined) return undefined;
  const server = team ? undefined : await serveMetrics(metrics, grpc.host, metricsPort);
  team?.offerMetrics(() => metrics.snapshot());
  metrics.watchProcess();
  return server;
}

/** What is cleared away every hour. */
const chores = ({ lockout, auditRetentionDays }: Config) => [
  ...sessionChores,
  ...lockoutChores(lockout),
  ...auditChores(auditRetentionDays),
  ...oneTimeTokenChores,
  ...eventChores,
  ...rateLimitChores,
];
