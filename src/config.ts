import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import type { MailSettings } from './mail/mail-settings.ts';
import { type TracingSettings, tracingSettings, tracingVariables } from './observability/tracing/tracing-settings.ts';
import type { RateLimitSettings } from './rate-limits/rate-limits.ts';
import type { TlsFiles } from './rpc/tls.ts';
import { Secret } from './secrets/secret.ts';
import { ConfigError } from './settings/start-error.ts';
import { PROFILE_FIELDS, type ProfileField } from './users/profile-fields.ts';

/** The settings, read from the environment. Durations are seconds. README.md lists them all. */
export interface Config {
  readonly database: {
    /** Absent: the embedded PostgreSQL under `dataDir`. */
    readonly url: Secret | undefined;
    /** For all workers together: what a database has to spare is counted by services, not by processes. */
    readonly poolMin: number;
    readonly poolMax: number;
  };
  readonly dataDir: string;
  /** How many processes answer calls; 1: this one. */
  readonly workers: number;
  readonly grpc: {
    readonly host: string;
    readonly port: number;
    /** Absent: plaintext. */
    readonly tls: TlsFiles | undefined;
    readonly reflection: boolean;
  };
  /** Calls a minute, over all replicas; 0 is no limit. */
  readonly rateLimits: RateLimitSettings;
  readonly auditRetentionDays: number;
  /** How the service calls itself in mails; passwords must not be built from it. */
  readonly serviceName: string;
  readonly mail: MailSettings;
  /** Absent: no metrics. */
  readonly metricsPort: number | undefined;
  /** Absent: no traces. */
  readonly tracing: TracingSettings | undefined;
  readonly jwt: {
    readonly algorithm: 'HS256';
    /** At least 32 bytes (RFC 7518 §3.2). Absent only beside the embedded database, which keeps one of its own. */
    readonly secretKey: Secret | undefined;
    readonly issuer: string;
    readonly audience: readonly string[];
    readonly accessTokenTtl: number;
  };
  readonly refresh: { readonly ttl: number; readonly grace: number };
  readonly passwords: {
    readonly pepper: Secret;
    readonly scheme: 'bcrypt' | 'argon2id';
    readonly bcryptCost: number;
    readonly minLength: number;
    readonly history: number;
    /** Where ranges of leaked passwords are asked for, with a closing slash; absent: not at all. */
    readonly breachCheckUrl: string | undefined;
  };
  readonly lockout: { readonly maxAttempts: number; readonly duration: number };
  readonly maxSessions: number;
  readonly requireVerifiedEmail: boolean;
  readonly requiredProfileFields: readonly ProfileField[];
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
}

const wholeNumber = (min: number, max: number, otherwise = 'must be a whole number') =>
  z
    .string()
    .regex(/^\d+$/, otherwise)
    .transform(Number)
    .pipe(z.number().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`));

const integer = (fallback: number, min: number, max: number) => wholeNumber(min, max).default(fallback);

/** More cores than this are better used by several replicas. */
const MAX_WORKERS = 32;

const workers = z
  .string()
  .transform((value) => (value === 'auto' ? String(Math.min(availableParallelism(), MAX_WORKERS)) : value))
  .pipe(wholeNumber(1, MAX_WORKERS, 'must be a whole number, or auto'))
  .default(1);

/** As many as one process has use for; with more workers than two, so many for each, but not all that a PostgreSQL offers as it comes. */
const defaultPoolMax = (workers: number) => Math.min(Math.max(10, workers * 5), 80);

const flag = z
  .enum(['true', 'false'], { error: 'must be true or false' })
  .transform((value) => value === 'true')
  .default(false);

const list = z
  .string()
  .default('')
  .transform((value) =>
    value
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean),
  );

const webUrl = z
  .string()
  .refine((url) => URL.canParse(url) && ['http:', 'https:'].includes(new URL(url).protocol), 'must begin with https:// or http://');

/** RFC 5322 §3.4, one mailbox: mail that is from nobody, or from several, is refused by whoever is to take it, hours after the start. */
const sender = z
  .string()
  .regex(/^(?:[^<>\r\n]+ <[^<>\s@,]+@[^<>\s@,]+>|[^<>\s@,]+@[^<>\s@,]+)$/, 'must be an address, or of the form Name <address>');

const DAY = 86_400;

/** Settings are held against each other even where others are wrong, so that one start tells everything. */
const always = () => true;

const environment = z
  .object({
    DATABASE_URL: z
      .string()
      .regex(/^postgres(ql)?:\/\//, 'must begin with postgresql://')
      .optional(),
    DATABASE_POOL_MIN: integer(5, 0, 1000),
    DATABASE_POOL_MAX: wholeNumber(1, 1000).optional(),
    CLUSTER_WORKERS: workers,
    DATA_DIR: z.string().default('.data'),
    GRPC_HOST: z.string().default('127.0.0.1'),
    GRPC_PORT: integer(50051, 0, 65_535),
    TLS_CERT_FILE: z.string().optional(),
    TLS_KEY_FILE: z.string().optional(),
    TLS_CLIENT_CA_FILE: z.string().optional(),
    ALLOW_PLAINTEXT: flag,
    REFLECTION: z.enum(['true', 'false'], { error: 'must be true or false' }).optional(),
    RATE_LIMIT_PER_CALLER: integer(600_000, 0, 1_000_000_000),
    RATE_LIMIT_PER_ADDRESS: integer(3000, 0, 1_000_000_000),
    RATE_LIMIT_PER_IDENTIFIER: integer(1000, 0, 1_000_000_000),
    AUDIT_RETENTION_DAYS: integer(365, 1, 36_500),
    SERVICE_NAME: z.string().max(100, 'must have at most 100 characters').default('identity'),
    SMTP_URL: z
      .string()
      .refine((url) => URL.canParse(url) && ['smtp:', 'smtps:'].includes(new URL(url).protocol), 'must begin with smtp:// or smtps://')
      .optional(),
    MAIL_FROM: sender.default('identity@localhost'),
    MAIL_TEMPLATES: z.string().optional(),
    PUBLIC_URL: webUrl.default('http://localhost:3000/{action}?token={token}'),
    BREACH_CHECK_URL: webUrl.transform((url) => url.replace(/\/*$/, '/')).optional(),
    METRICS_PORT: wholeNumber(0, 65_535).optional(),
    ...tracingVariables,
    JWT_SECRET_KEY: z
      .string()
      .refine((key) => Buffer.byteLength(key) >= 32, 'must be at least 32 bytes')
      .optional(),
    JWT_ALGORITHM: z.enum(['HS256'], { error: 'must be HS256' }).default('HS256'),
    JWT_ISSUER: z.string().default('identity'),
    JWT_AUDIENCE: list.transform((audience) => (audience.length > 0 ? audience : ['identity'])),
    ACCESS_TOKEN_TTL: integer(900, 1, DAY),
    REFRESH_TOKEN_TTL: integer(7 * DAY, 1, 3650 * DAY),
    REFRESH_GRACE: integer(10, 0, 300),
    PASSWORD_PEPPER: z.string().default(''),
    PASSWORD_HASH: z.enum(['bcrypt', 'argon2id'], { error: 'must be bcrypt or argon2id' }).default('bcrypt'),
    BCRYPT_COST: integer(12, 4, 16),
    PASSWORD_MIN_LENGTH: integer(8, 1, 256),
    PASSWORD_HISTORY: integer(5, 0, 24),
    LOCKOUT_MAX_ATTEMPTS: integer(5, 1, 1000),
    LOCKOUT_DURATION: integer(1800, 1, 30 * DAY),
    MAX_SESSIONS: integer(5, 1, 1000),
    REQUIRE_VERIFIED_EMAIL: flag,
    REQUIRED_PROFILE_FIELDS: list.pipe(z.array(z.enum(PROFILE_FIELDS, { error: `must be some of ${PROFILE_FIELDS.join(', ')}` }))),
    LOG_LEVEL: z
      .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
        error: 'must be one of fatal, error, warn, info, debug, trace, silent',
      })
      .default('info'),
  })
  .refine((env) => env.DATABASE_URL === undefined || env.JWT_SECRET_KEY !== undefined, {
    path: ['JWT_SECRET_KEY'],
    message: 'is required beside DATABASE_URL (at least 32 bytes)',
    when: always,
  })
  .refine((env) => (env.TLS_CERT_FILE === undefined) === (env.TLS_KEY_FILE === undefined), {
    path: ['TLS_CERT_FILE'],
    message: 'and TLS_KEY_FILE must be given together',
    when: always,
  })
  .refine((env) => env.TLS_CLIENT_CA_FILE === undefined || env.TLS_CERT_FILE !== undefined, {
    path: ['TLS_CLIENT_CA_FILE'],
    message: 'needs TLS_CERT_FILE and TLS_KEY_FILE',
    when: always,
  })
  .refine((env) => env.TLS_CERT_FILE !== undefined || env.ALLOW_PLAINTEXT === true || isLoopback(env.GRPC_HOST), {
    path: ['GRPC_HOST'],
    message: 'is not a loopback address: give TLS_CERT_FILE and TLS_KEY_FILE, or say ALLOW_PLAINTEXT=true',
    when: always,
  })
  .refine((env) => !(env.DATABASE_POOL_MIN > poolMaxOf(env)), {
    path: ['DATABASE_POOL_MIN'],
    message: 'must not exceed DATABASE_POOL_MAX',
    when: always,
  })
  .refine((env) => !(env.CLUSTER_WORKERS > poolMaxOf(env)), {
    path: ['DATABASE_POOL_MAX'],
    message: 'is for all workers together: it must be at least CLUSTER_WORKERS',
    when: always,
  });

function poolMaxOf(env: { DATABASE_POOL_MAX?: number | undefined; CLUSTER_WORKERS: number }): number {
  return env.DATABASE_POOL_MAX ?? defaultPoolMax(env.CLUSTER_WORKERS);
}

/** Reads the settings; an empty variable counts as absent. Throws a ConfigError that names every problem. */
export function loadConfig(env: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const result = environment.safeParse(given);
  if (!result.success) throw new ConfigError(result.error.issues.map(({ path, message }) => `${String(path[0])} ${message}`));
  return freeze(toConfig(result.data));
}

function toConfig(env: z.output<typeof environment>): Config {
  const secret = (value: string | undefined) => (value === undefined ? undefined : new Secret(value));
  return {
    database: { url: secret(env.DATABASE_URL), poolMin: env.DATABASE_POOL_MIN, poolMax: poolMaxOf(env) },
    dataDir: env.DATA_DIR,
    workers: env.CLUSTER_WORKERS,
    grpc: {
      host: env.GRPC_HOST,
      port: env.GRPC_PORT,
      tls: tlsFiles(env),
      reflection: env.REFLECTION === undefined ? isLoopback(env.GRPC_HOST) : env.REFLECTION === 'true',
    },
    rateLimits: {
      perCaller: env.RATE_LIMIT_PER_CALLER,
      perAddress: env.RATE_LIMIT_PER_ADDRESS,
      perIdentifier: env.RATE_LIMIT_PER_IDENTIFIER,
    },
    auditRetentionDays: env.AUDIT_RETENTION_DAYS,
    serviceName: env.SERVICE_NAME,
    mail: {
      smtpUrl: secret(env.SMTP_URL),
      from: env.MAIL_FROM,
      templates: env.MAIL_TEMPLATES,
      publicUrl: env.PUBLIC_URL,
    },
    metricsPort: env.METRICS_PORT,
    tracing: tracingSettings(env, { host: env.GRPC_HOST, port: env.GRPC_PORT }),
    jwt: {
      algorithm: env.JWT_ALGORITHM,
      secretKey: secret(env.JWT_SECRET_KEY),
      issuer: env.JWT_ISSUER,
      audience: env.JWT_AUDIENCE,
      accessTokenTtl: env.ACCESS_TOKEN_TTL,
    },
    refresh: { ttl: env.REFRESH_TOKEN_TTL, grace: env.REFRESH_GRACE },
    passwords: {
      pepper: new Secret(env.PASSWORD_PEPPER),
      scheme: env.PASSWORD_HASH,
      bcryptCost: env.BCRYPT_COST,
      minLength: env.PASSWORD_MIN_LENGTH,
      history: env.PASSWORD_HISTORY,
      breachCheckUrl: env.BREACH_CHECK_URL,
    },
    lockout: { maxAttempts: env.LOCKOUT_MAX_ATTEMPTS, duration: env.LOCKOUT_DURATION },
    maxSessions: env.MAX_SESSIONS,
    requireVerifiedEmail: env.REQUIRE_VERIFIED_EMAIL,
    requiredProfileFields: env.REQUIRED_PROFILE_FIELDS,
    logLevel: env.LOG_LEVEL,
  };
}

function tlsFiles(env: z.output<typeof environment>): TlsFiles | undefined {
  const { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile, TLS_CLIENT_CA_FILE: clientCaFile } = env;
  return certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile, clientCaFile };
}

/** Only programs on the same machine reach it. A name may resolve to anything, but for `localhost` (RFC 6761 §6.3). */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function freeze<T extends object>(value: T): T {
  for (const child of Object.values(value)) if (typeof child === 'object' && child !== null) freeze(child);
  return Object.freeze(value);
}
