import type { Server } from '@grpc/grpc-js';
import { authService } from './auth/auth.rpc.ts';
import { Attempts } from './auth/lockout/attempts.ts';
import { lockoutChores } from './auth/lockout/lockout-chores.ts';
import { countPasswordHistory } from './auth/passwords/password-history.repository.ts';
import { Passwords } from './auth/passwords/passwords.ts';
import { AccessTokens } from './auth/tokens/access-tokens.ts';
import type { Config } from './config.ts';
import { requireCurrentSchema } from './database/migrations.ts';
import { type Orm, openOrm } from './database/orm.ts';
import { ENTITIES } from './entities.ts';
import { startHousekeeping } from './housekeeping.ts';
import type { Caller } from './rpc/call.ts';
import { addHealth } from './rpc/health.ts';
import { createLog, type Log } from './rpc/log.ts';
import { createPageTokens } from './rpc/page-token.ts';
import { addReflection } from './rpc/reflection.ts';
import { addService, createServer, drain, listen } from './rpc/server.ts';
import type { Runtime } from './rpc/unary.ts';
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
    return await serve(config, { orm, passwords, secretKey, now, log });
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
}

async function serve(config: Config, parts: Parts): Promise<App> {
  const { orm, passwords, now, log } = parts;
  const server = createServer();
  const services = addServices(server, config, parts);
  const health = await addHealth(server, services, async () => void (await orm.em.fork().execute('select 1')));
  addReflection(server);
  const port = await listen(server, config.grpc.host, config.grpc.port);
  const stopHousekeeping = startHousekeeping({ em: orm.em, now, log }, chores(config));

  const close = async () => {
    health.drain();
    stopHousekeeping();
    await drain(server, DRAIN_MS);
    health.stop();
    await passwords.close();
    await orm.close();
  };
  return { server, orm, port, close };
}

const chores = ({ refresh, lockout }: Config) => [...sessionChores(refresh.ttl), ...lockoutChores(lockout)];

function addServices(server: Server, config: Config, { orm, passwords, secretKey, now, log }: Parts): string[] {
  const accessTokens = new AccessTokens(config.jwt, secretKey);
  const runtime: Runtime = { em: orm.em, now, log, constraints: userConstraints, identify: identifyBy(accessTokens, now) };
  const users = {
    now,
    requiredProfileFields: config.requiredProfileFields,
    newPasswords: passwords,
    pageTokens: createPageTokens(secretKey),
    endSessions,
    belongings: [
      { kind: 'sessions', count: countSessions },
      { kind: 'password_history', count: countPasswordHistory },
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
  };
  return [
    addService(server, userService(users), runtime),
    addService(server, authService(auth), runtime),
    addService(server, sessionService, runtime),
  ];
}

/** A user is known by the access token in the `authorization` header; anything else there is nobody. */
function identifyBy(accessTokens: AccessTokens, now: () => Date): (authorization: string | undefined) => Caller {
  return (authorization) => {
    const token = /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1];
    const claims = token === undefined ? undefined : accessTokens.verify(token, now());
    return claims ? { kind: 'user', userId: claims.sub, sessionId: claims.sid } : { kind: 'anonymous' };
  };
}
