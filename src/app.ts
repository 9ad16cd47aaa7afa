import type { Server } from '@grpc/grpc-js';
import type { EntityManager } from '@mikro-orm/postgresql';
import { countApiKeysOfUser } from './api-keys/api-key.repository.ts';
import { apiKeyService } from './api-keys/api-key.rpc.ts';
import { KeyUsage } from './api-keys/key-usage.ts';
import { auditService } from './audit/audit.rpc.ts';
import { auditChores } from './audit/audit-chores.ts';
import { RefusedCalls } from './audit/refused-calls.ts';
import { authService } from './auth/auth.rpc.ts';
import { Attempts } from './auth/lockout/attempts.ts';
import { lockoutChores } from './auth/lockout/lockout-chores.ts';
import { countPasswordHistory } from './auth/passwords/password-history.repository.ts';
import { Passwords } from './auth/passwords/passwords.ts';
import { AccessTokens } from './auth/tokens/access-tokens.ts';
import { recogniseUser } from './callers/caller.repository.ts';
import { EpochCache } from './callers/epoch-cache.ts';
import { identifyCaller } from './callers/identify-caller.ts';
import type { Config } from './config.ts';
import { requireCurrentSchema } from './database/migrations.ts';
import { type Orm, openOrm, poolOf } from './database/orm.ts';
import { ENTITIES } from './entities.ts';
import { startHousekeeping } from './housekeeping.ts';
import { RateLimits } from './rate-limits/rate-limits.ts';
import { roleConstraints } from './roles/role.errors.ts';
import { roleService } from './roles/role.rpc.ts';
import { readAccess } from './rpc/access.ts';
import { DESCRIPTORS } from './rpc/descriptors.ts';
import { addHealth } from './rpc/health.ts';
import { createLog, type Log } from './rpc/log.ts';
import { createPageTokens } from './rpc/page-token.ts';
import { addReflection } from './rpc/reflection.ts';
import { addService, createServer, drain, listen } from './rpc/server.ts';
import type { Runtime } from './rpc/unary.ts';
import { serviceAccountConstraints } from './service-accounts/service-account.errors.ts';
import { serviceAccountService } from './service-accounts/service-account.rpc.ts';
import { endSessions } from './sessions/end-sessions.ts';
import { countSessions } from './sessions/session.repository.ts';
import { sessionService } from './sessions/session.rpc.ts';
import { sessionChores } from './sessions/session-chores.ts';
import { userConstraints } from './users/user.errors.ts';
import { userService } from './users/user.rpc.ts';

/** What tests replace: the clock. */
export interface Overrides {
  readonly now?: () => Date;
}

export interface App {
  readonly server: Server;
  readonly orm: Orm;
  readonly port: number;
  /** Health turns NOT_SERVING, calls in flight finish, then everything is closed. */
  close(): Promise<void>;
}

/** The settings after the start has filled in what the embedded database keeps by itself. */
export interface Connection {
  readonly databaseUrl: string;
  readonly secretKey: string;
}

/** How long calls in flight may take when the service stops. */
const DRAIN_MS = 8000;

/** The composition root: the only place where features meet. */
export async function createApp(config: Config, { databaseUrl, secretKey }: Connection, overrides: Overrides = {}): Promise<App> {
  const now = overrides.now ?? (() => new Date());
  const log = createLog(config.logLevel);
  const { poolMin, poolMax } = config.database;
  const orm = await openOrm({ url: databaseUrl, entities: ENTITIES, poolMin, poolMax });
  const passwords = new Passwords(config.passwords);
  try {
    await requireCurrentSchema(orm);
    const cache = new EpochCache(orm.em);
    const keyUsage = new KeyUsage(orm.em);
    const rateLimits = new RateLimits(await poolOf(orm), config.rateLimits, secretKey, log);
    return await serve(config, { orm, passwords, secretKey, now, log, cache, keyUsage, rateLimits });
  } catch (error) {
    await Promise.all([orm.close(), passwords.close()]);
    throw error;
  }
}

interface Parts {
  readonly orm: Orm;
  readonly passwords: Passwords;
  readonly secretKey: string;
  readonly now: () => Date;
  readonly log: Log;
  readonly cache: EpochCache;
  readonly keyUsage: KeyUsage;
  readonly rateLimits: RateLimits;
}

async function serve(config: Config, parts: Parts): Promise<App> {
  const { orm, passwords, now, log, cache, keyUsage } = parts;
  const server = createServer();
  const services = addServices(server, config, parts);
  const health = await addHealth(server, services, async () => void (await orm.em.fork().execute('select 1')));
  if (config.grpc.reflection) addReflection(server);
  await cache.start();
  const port = await listen(server, config.grpc);
  const stopHousekeeping = startHousekeeping({ em: orm.em, now, log }, chores(config));

  const close = async () => {
    health.drain();
    stopHousekeeping();
    await drain(server, DRAIN_MS);
    health.stop();
    cache.stop();
    await keyUsage.stop();
    await passwords.close();
    await orm.close();
  };
  return { server, orm, port, close };
}

const chores = ({ refresh, lockout, auditRetentionDays }: Config) => [
  ...sessionChores(refresh.ttl),
  ...lockoutChores(lockout),
  ...auditChores(auditRetentionDays),
];

function addServices(
  server: Server,
  config: Config,
  { orm, passwords, secretKey, now, log, cache, keyUsage, rateLimits }: Parts,
): string[] {
  const accessTokens = new AccessTokens(config.jwt, secretKey);
  const runtime: Runtime = {
    em: orm.em,
    now,
    log,
    constraints: { ...userConstraints, ...roleConstraints, ...serviceAccountConstraints },
    access: readAccess(DESCRIPTORS),
    identify: (em, credentials) => identifyCaller(em, { cache, accessTokens, keyUsage, now }, credentials),
    limit: rateLimits.call,
    refused: new RefusedCalls(orm.em, log).note,
  };
  const users = {
    now,
    requiredProfileFields: config.requiredProfileFields,
    newPasswords: passwords,
    pageTokens: createPageTokens(secretKey),
    endSessions,
    belongings: [
      { kind: 'sessions', count: countSessions },
      { kind: 'password_history', count: countPasswordHistory },
      { kind: 'api_keys', count: countApiKeysOfUser },
    ],
  };
  const auth = {
    ...users,
    passwords,
    attempts: new Attempts(config.lockout, secretKey),
    accessTokens,
    refreshTtl: config.refresh.ttl,
    refreshGrace: config.refresh.grace,
    maxSessions: config.maxSessions,
    requireVerifiedEmail: config.requireVerifiedEmail,
    limitCredentials: rateLimits.credentials,
    permissionsOf: (em: EntityManager, userId: string) => cache.get(`user:${userId}`, () => recogniseUser(em, userId)),
  };
  return [
    addService(server, userService(users), runtime),
    addService(server, authService(auth), runtime),
    addService(server, sessionService, runtime),
    addService(server, roleService, runtime),
    addService(server, serviceAccountService, runtime),
    addService(server, apiKeyService, runtime),
    addService(server, auditService(users), runtime),
  ];
}
