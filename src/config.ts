import { z } from 'zod';
import { type ApiKeySettings, apiKeySettings, apiKeyVariables } from './access/api-keys/api-key-settings.ts';
import { type AuditSettings, auditSettings, auditVariables } from './audit/audit-settings.ts';
import type { LockoutPolicy } from './auth/lockout/lockout-policy.ts';
import { lockoutSettings, lockoutVariables } from './auth/lockout/lockout-settings.ts';
import { type PasswordSettings, passwordSettings, passwordVariables } from './auth/passwords/password-settings.ts';
import { type SignInSettings, signInSettings, signInVariables } from './auth/sign-in-settings.ts';
import { type TokenSettings, tokenSettings, tokenVariables } from './auth/tokens/token-settings.ts';
import { distanceOf, nearestTo } from './call/nearest.ts';
import { type DatabaseSettings, databaseSettings, databaseVariables, poolMaxOf } from './database/database-settings.ts';
import { type MailSettings, mailSettings, mailVariables } from './mail/mail-settings.ts';
import { type ObservabilitySettings, observabilitySettings, observabilityVariables } from './observability/observability-settings.ts';
import { type TracingSettings, tracingSettings, tracingVariables } from './observability/tracing/tracing-settings.ts';
import { type ClusterSettings, clusterSettings, clusterVariables } from './process/cluster/cluster-settings.ts';
import { type RateLimitSettings, rateLimitSettings, rateLimitVariables } from './rate-limits/rate-limit-settings.ts';
import { type GrpcSettings, grpcRules, grpcSettings, grpcVariables } from './rpc/grpc-settings.ts';
import { type SessionSettings, sessionSettings, sessionVariables } from './sessions/session-settings.ts';
import { ConfigError } from './settings/start-error.ts';
import type { Rule, ValuesOf } from './settings/variables.ts';
import { type UserSettings, userSettings, userVariables } from './users/user-settings.ts';

/** The settings of all rooms, read from the environment. Durations are seconds. README.md lists the variables. */
export interface Config
  extends ClusterSettings,
    AuditSettings,
    ObservabilitySettings,
    TokenSettings,
    SignInSettings,
    SessionSettings,
    ApiKeySettings,
    UserSettings {
  readonly database: DatabaseSettings;
  readonly dataDir: string;
  readonly grpc: GrpcSettings;
  readonly rateLimits: RateLimitSettings;
  /** The name of the service in mails; passwords must not be built from it. */
  readonly serviceName: string;
  readonly mail: MailSettings;
  /** Absent: no traces. */
  readonly tracing: TracingSettings | undefined;
  readonly passwords: PasswordSettings;
  readonly lockout: LockoutPolicy;
}

/** Each is declared by the room whose setting it is. Problems are listed in this order. */
export const VARIABLES = {
  ...databaseVariables,
  ...clusterVariables,
  ...grpcVariables,
  ...rateLimitVariables,
  ...auditVariables,
  ...mailVariables,
  ...observabilityVariables,
  ...tracingVariables,
  ...tokenVariables,
  ...passwordVariables,
  ...lockoutVariables,
  ...sessionVariables,
  ...apiKeyVariables,
  ...signInVariables,
  ...userVariables,
};

type Values = ValuesOf<typeof VARIABLES>;

const RULES: readonly Rule<Values>[] = [
  {
    variable: 'DATABASE_URL',
    problem: 'is required (REQUIRE_DATABASE_URL=true): without it, an embedded database would be made',
    holds: (env) => env.DATABASE_URL !== undefined || env.REQUIRE_DATABASE_URL !== true,
  },
  {
    variable: 'JWT_SECRET_KEY',
    problem: 'is required beside DATABASE_URL (at least 32 bytes)',
    holds: (env) => env.DATABASE_URL === undefined || env.JWT_SECRET_KEY !== undefined,
  },
  ...grpcRules,
  {
    variable: 'DATABASE_POOL_MIN',
    problem: 'must not exceed DATABASE_POOL_MAX',
    holds: (env) => !(env.DATABASE_POOL_MIN > poolMaxOf(env, env.CLUSTER_WORKERS)),
  },
  {
    variable: 'DATABASE_POOL_MAX',
    problem: 'is for all workers together: it must be at least CLUSTER_WORKERS',
    holds: (env) => !(env.CLUSTER_WORKERS > poolMaxOf(env, env.CLUSTER_WORKERS)),
  },
];

/** Rules are asked even where a variable is wrong by itself, so that one start tells everything. */
const always = () => true;

const environment = RULES.reduce(
  (schema, { variable, problem, holds }) => schema.refine(holds, { path: [variable], message: problem, when: always }),
  z.object(VARIABLES),
);

/** Reads the settings; an empty variable counts as absent. Throws a ConfigError that names every problem. */
export function loadConfig(env: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const result = environment.safeParse(given);
  if (!result.success) throw new ConfigError(result.error.issues.map(({ path, message }) => `${String(path[0])} ${message}`));
  return freeze(toConfig(result.data));
}

/** Of others, who also name theirs so: libraries that we use, and Kubernetes for its services. */
const OF_OTHERS = /^(GRPC_(VERBOSITY|TRACE|SSL_|NODE_|DEFAULT_|EXPERIMENTAL_)|OTEL_|NODE_)|_SERVICE_(HOST|PORT)|_PORT(_\d+_|$)/;

/** The most changes of single characters by which a name without a common beginning is still taken for a misspelt one of ours. */
const MAX_MISSPELT = 2;

/** The variables that begin like ours, or are spelt nearly so, and are none: each with the one that was probably meant. They change nothing. */
export function unknownVariables(env: Record<string, string | undefined>): { readonly name: string; readonly nearest: string }[] {
  const names = Object.keys(VARIABLES);
  const beginnings = new Set(names.map(beginningOf));
  return Object.keys(env).flatMap((name) => {
    if (name in VARIABLES || OF_OTHERS.test(name)) return [];
    const nearest = nearestTo(name, names) as string;
    return beginnings.has(beginningOf(name)) || distanceOf(name, nearest) <= MAX_MISSPELT ? [{ name, nearest }] : [];
  });
}

/** `JWT_SECRET` → `JWT_` */
function beginningOf(name: string): string {
  return name.slice(0, name.indexOf('_') + 1) || name;
}

function toConfig(env: Values): Config {
  const cluster = clusterSettings(env);
  const grpc = grpcSettings(env);
  return {
    ...cluster,
    ...auditSettings(env),
    ...observabilitySettings(env),
    ...tokenSettings(env),
    ...signInSettings(env),
    ...sessionSettings(env),
    ...apiKeySettings(env),
    ...userSettings(env),
    database: databaseSettings(env, cluster.workers),
    dataDir: env.DATA_DIR,
    grpc,
    rateLimits: rateLimitSettings(env),
    serviceName: env.SERVICE_NAME,
    mail: mailSettings(env),
    tracing: tracingSettings(env, grpc),
    passwords: passwordSettings(env),
    lockout: lockoutSettings(env),
  };
}

function freeze<T extends object>(value: T): T {
  for (const child of Object.values(value)) if (typeof child === 'object' && child !== null) freeze(child);
  return Object.freeze(value);
}
