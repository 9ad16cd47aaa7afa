import type { Server } from '@grpc/grpc-js';
import { apiKeyCleanup } from '../access/api-keys/api-key-cleanup.ts';
import { auditCleanup } from '../audit/audit-event.repository.ts';
import { emailChangeCleanup } from '../auth/email-change/email-change.repository.ts';
import { lockoutCleanup } from '../auth/lockout/lockout-cleanup.ts';
import { tokenCleanup } from '../auth/one-time-tokens/one-time-token.repository.ts';
import { endsWithin, tellUnlessEnded } from '../concurrency/time-limit.ts';
import type { Config } from '../config.ts';
import type { Orm } from '../database/orm.ts';
import { eventCleanup } from '../events/event.repository.ts';
import { startCleanup } from '../jobs/cleanup.ts';
import { openMailer } from '../mail/mailer.ts';
import { type MetricsServer, serveMetrics } from '../observability/metrics/metrics-server.ts';
import { rateLimitCleanup } from '../rate-limits/rate-limit.repository.ts';
import { releaseEndedCalls } from '../rpc/ended-calls.ts';
import { addHealth } from '../rpc/health.ts';
import { addReflection } from '../rpc/reflection.ts';
import { addService, createServer, listen } from '../rpc/server.ts';
import { sessionCleanup } from '../sessions/session-cleanup.ts';
import { type Connection, type Overrides, openResources, type Resources } from './resources.ts';
import { runtimeOf, servicesOf } from './services.ts';

export interface App {
  readonly server: Server;
  readonly orm: Orm;
  readonly port: number;
  /** The port of the metrics, if there are any. */
  readonly metricsPort: number | undefined;
  /** Health turns NOT_SERVING, calls in flight finish, then everything is closed. */
  close(): Promise<void>;
}

/** In which calls in flight have to end when the service stops. With all that ends after them, main.ts grants more. */
const DRAIN_MS = 6000;

/** The composition root: resources.ts and services.ts put the features together, this opens them for calls. */
export async function createApp(config: Config, connection: Connection, overrides: Overrides = {}): Promise<App> {
  // All that has begun ends in the opposite order: when the service closes, or at once where it cannot start.
  await using begun = new AsyncDisposableStack();
  const resources = await openResources(config, connection, overrides, begun);
  const server = createServer(overrides.connections);
  await releaseEndedCalls(resources.log);
  const ports = await serve(server, config, resources, begun, overrides);
  const running = begun.move();
  return { server, orm: resources.orm, ...ports, close: () => running.disposeAsync() };
}

async function serve(
  server: Server,
  config: Config,
  resources: Resources,
  begun: AsyncDisposableStack,
  { mailGatherMs, connections }: Overrides,
): Promise<Pick<App, 'port' | 'metricsPort'>> {
  const { orm, pool, now, log, tail, oneTimeTokens, emailChanges, mailBounds, sealed, tracer, team } = resources;
  const runtime = runtimeOf(config, resources);
  const services = servicesOf(config, resources);
  const names = services.map((service) => addService(server, service, runtime));
  const health = await addHealth(server, names, async () => void (await pool.query('select 1')), team?.health);
  begun.defer(() => health.stop());
  if (config.grpc.reflection) addReflection(server);
  const metricsServer = await offerMetrics(config, resources);
  begun.defer(() => metricsServer?.close());
  const mailerResources = { em: orm.em, now, log, sealed, tokens: oneTimeTokens, emailChanges, bounds: mailBounds, tail, tracer };
  const startMailer = await openMailer(config, mailerResources, mailGatherMs);
  await tail.start();
  const { port, drain } = await listen(server, config.grpc, connections, services);
  const stopMailer = startMailer();
  // Begun when the last span has ended, and waited for after everything else (resources.ts).
  begun.defer(() => void tracer?.close());
  // At the same time: each of them may have to wait for somebody outside.
  begun.defer(async () => {
    const mails = tellUnlessEnded(log, 'mails', endsWithin(DRAIN_MS, stopMailer()));
    await Promise.all([mails, tellUnlessEnded(log, 'calls', drain(DRAIN_MS))]);
  });
  // Several workers of one machine would all begin at the same moment, and wait for each other.
  if (!team || team.number === 1) begun.defer(startCleanup({ em: orm.em, now, log }, cleanupSteps(config)));
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

/** All that is cleared away every hour. */
const cleanupSteps = (config: Config) => [
  ...sessionCleanup,
  ...apiKeyCleanup,
  ...lockoutCleanup,
  ...auditCleanup(config),
  ...tokenCleanup,
  ...emailChangeCleanup,
  ...eventCleanup,
  ...rateLimitCleanup,
];
