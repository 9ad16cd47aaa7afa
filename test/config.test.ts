import { availableParallelism } from 'node:os';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { loadConfig, unknownVariables } from '../src/config.ts';
import { ConfigError } from '../src/settings/start-error.ts';

const SECRET = 'never-to-be-seen-'.repeat(3);

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('the settings', () => {
  it('have the defaults that are documented', () => {
    const { database, jwt, passwords, ...others } = loadConfig({});
    expect(database).toEqual({ url: undefined, poolMin: 5, poolMax: 10 });
    expect(jwt).toEqual({ algorithm: 'HS256', secretKey: undefined, issuer: 'identity', audience: ['identity'], accessTokenTtl: 900 });
    const { pepper, ...passwordRules } = passwords;
    expect(pepper.reveal()).toBe('');
    expect(passwordRules).toEqual({ scheme: 'bcrypt', bcryptCost: 12, minLength: 8, history: 5, breachCheckUrl: undefined });
    expect(others).toEqual({
      dataDir: '.data',
      workers: 1,
      grpc: { host: '127.0.0.1', port: 50051, tls: undefined, reflection: true },
      rateLimits: { perCaller: 600_000, perUser: 600, perAddress: 3000, perIdentifier: 1000 },
      auditRetentionDays: 365,
      serviceName: 'identity',
      mail: {
        smtpUrl: undefined,
        from: 'identity@localhost',
        templates: undefined,
        publicUrl: 'http://localhost:3000/{action}?token={token}',
      },
      metricsPort: undefined,
      refresh: { ttl: 604_800, grace: 10 },
      lockout: { maxAttempts: 5, duration: 1800 },
      maxSessions: 5,
      sessionMaxAge: 2_592_000,
      maxApiKeys: 100,
      requireVerifiedEmail: false,
      reauthenticationMaxAge: 600,
      requiredProfileFields: [],
      logLevel: 'info',
      accessLog: false,
    });
  });

  it('are each read from a variable of their own', () => {
    const config = loadConfig({
      DATABASE_URL: 'postgres://db/identity',
      DATABASE_POOL_MIN: '1',
      DATABASE_POOL_MAX: '2',
      DATA_DIR: '/data',
      GRPC_HOST: '::',
      GRPC_PORT: '3',
      TLS_CERT_FILE: '/tls/server.crt',
      TLS_KEY_FILE: '/tls/server.key',
      TLS_CLIENT_CA_FILE: '/tls/ca.crt',
      REFLECTION: 'true',
      RATE_LIMIT_PER_CALLER: '15',
      RATE_LIMIT_PER_USER: '20',
      RATE_LIMIT_PER_ADDRESS: '16',
      RATE_LIMIT_PER_IDENTIFIER: '17',
      AUDIT_RETENTION_DAYS: '18',
      JWT_SECRET_KEY: SECRET,
      JWT_ALGORITHM: 'HS256',
      JWT_ISSUER: 'issuer',
      JWT_AUDIENCE: ' one, two ,,',
      ACCESS_TOKEN_TTL: '4',
      REFRESH_TOKEN_TTL: '6',
      REFRESH_GRACE: '7',
      PASSWORD_PEPPER: 'pepper',
      PASSWORD_HASH: 'argon2id',
      BCRYPT_COST: '9',
      PASSWORD_MIN_LENGTH: '10',
      PASSWORD_HISTORY: '11',
      LOCKOUT_MAX_ATTEMPTS: '12',
      LOCKOUT_DURATION: '13',
      MAX_SESSIONS: '14',
      SESSION_MAX_AGE: '20',
      REQUIRE_VERIFIED_EMAIL: 'true',
      REAUTHENTICATION_MAX_AGE: '20',
      REQUIRED_PROFILE_FIELDS: 'full_name,birth_date',
      LOG_LEVEL: 'warn',
      SERVICE_NAME: 'Shop',
      SMTP_URL: 'smtps://mail.example.com',
      MAIL_FROM: 'Shop <shop@example.com>',
      MAIL_TEMPLATES: '/templates',
      PUBLIC_URL: 'https://shop.example.com',
      BREACH_CHECK_URL: 'https://breaches.example.com',
      METRICS_PORT: '19',
      CLUSTER_WORKERS: '2',
    });
    expect(config.database.url?.reveal()).toBe('postgres://db/identity');
    expect(config.jwt.secretKey?.reveal()).toBe(SECRET);
    expect(config.passwords.pepper.reveal()).toBe('pepper');
    expect(config.mail.smtpUrl?.reveal()).toBe('smtps://mail.example.com');
    expect(config).toMatchObject({
      database: { poolMin: 1, poolMax: 2 },
      dataDir: '/data',
      workers: 2,
      grpc: {
        host: '::',
        port: 3,
        tls: { certFile: '/tls/server.crt', keyFile: '/tls/server.key', clientCaFile: '/tls/ca.crt' },
        reflection: true,
      },
      rateLimits: { perCaller: 15, perUser: 20, perAddress: 16, perIdentifier: 17 },
      auditRetentionDays: 18,
      jwt: { algorithm: 'HS256', issuer: 'issuer', audience: ['one', 'two'], accessTokenTtl: 4 },
      refresh: { ttl: 6, grace: 7 },
      passwords: { scheme: 'argon2id', bcryptCost: 9, minLength: 10, history: 11, breachCheckUrl: 'https://breaches.example.com/' },
      lockout: { maxAttempts: 12, duration: 13 },
      maxSessions: 14,
      sessionMaxAge: 20,
      requireVerifiedEmail: true,
      reauthenticationMaxAge: 20,
      requiredProfileFields: ['full_name', 'birth_date'],
      logLevel: 'warn',
      serviceName: 'Shop',
      mail: { from: 'Shop <shop@example.com>', templates: '/templates', publicUrl: 'https://shop.example.com' },
      metricsPort: 19,
    });
  });

  it('count an empty variable as absent', () => {
    expect(loadConfig({ GRPC_PORT: '', DATABASE_URL: '', JWT_SECRET_KEY: '', REQUIRE_VERIFIED_EMAIL: '' })).toEqual(loadConfig({}));
  });

  it('cannot be changed, at any depth', () => {
    const config = loadConfig({ JWT_AUDIENCE: 'one', REQUIRED_PROFILE_FIELDS: 'bio', PASSWORD_PEPPER: 'pepper' });
    const unfrozen = (value: object, path: string): string[] => [
      ...(Object.isFrozen(value) ? [] : [path]),
      ...Object.entries(value).flatMap(([name, child]) => (typeof child === 'object' && child ? unfrozen(child, `${path}.${name}`) : [])),
    ];
    expect(unfrozen(config, 'config')).toEqual([]);
  });
});

describe('CLUSTER_WORKERS', () => {
  it('auto is one for each core', () => {
    expect(loadConfig({ CLUSTER_WORKERS: 'auto' }).workers).toBe(Math.min(availableParallelism(), 32));
  });

  it.each([
    [1, 10],
    [2, 10],
    [4, 20],
    [32, 80],
  ])('%i of them have %i connections to the database by default, together', (workers, poolMax) => {
    expect(loadConfig({ CLUSTER_WORKERS: String(workers) }).database.poolMax).toBe(poolMax);
    expect(loadConfig({ CLUSTER_WORKERS: String(workers), DATABASE_POOL_MAX: '32' }).database.poolMax).toBe(32);
  });

  it.each(['0', '33', 'all', '-1', '1.5'])('cannot be %s', (workers) => {
    expect(problemsOf({ CLUSTER_WORKERS: workers })).toEqual([expect.stringMatching(/^CLUSTER_WORKERS must be/)]);
  });

  it('cannot exceed the connections to the database', () => {
    expect(problemsOf({ CLUSTER_WORKERS: '7', DATABASE_POOL_MAX: '6' })).toEqual([
      'DATABASE_POOL_MAX is for all workers together: it must be at least CLUSTER_WORKERS',
    ]);
    expect(problemsOf({ CLUSTER_WORKERS: '6', DATABASE_POOL_MAX: '6' })).toEqual([]);
  });
});

describe('wrong settings', () => {
  it('are all reported at once, in one error', () => {
    const env = { GRPC_PORT: 'x', BCRYPT_COST: '3', LOG_LEVEL: 'loud', REQUIRE_VERIFIED_EMAIL: 'yes', JWT_ALGORITHM: 'none' };
    const problems = problemsOf(env);
    expect(problems.map((problem) => problem.split(' ')[0]).sort()).toEqual(Object.keys(env).sort());
    expect(new ConfigError(problems).message.split('\n')).toEqual([
      'The configuration is not usable:',
      ...problems.map((problem) => `  - ${problem}`),
    ]);
  });

  it('are reported together with what is missing beside others', () => {
    const pool = { DATABASE_URL: 'postgresql://db/x', DATABASE_POOL_MIN: '6', DATABASE_POOL_MAX: '5' };
    const problems = problemsOf({ ...pool, GRPC_PORT: 'x', LOG_LEVEL: 'loud' });
    expect(problems).toEqual([
      'GRPC_PORT must be a whole number',
      'LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent',
      'JWT_SECRET_KEY is required beside DATABASE_URL (at least 32 bytes)',
      'DATABASE_POOL_MIN must not exceed DATABASE_POOL_MAX',
    ]);
  });

  it.each([
    ['DATABASE_POOL_MIN', '0', '10', '-1', '1001'],
    ['DATABASE_POOL_MAX', '5', '1000', '0', '1001'],
    ['GRPC_PORT', '0', '65535', '-1', '65536'],
    ['ACCESS_TOKEN_TTL', '1', '86400', '0', '86401'],
    ['REFRESH_TOKEN_TTL', '1', '315360000', '0', '315360001'],
    ['REFRESH_GRACE', '0', '300', '-1', '301'],
    ['BCRYPT_COST', '4', '16', '3', '17'],
    ['PASSWORD_MIN_LENGTH', '1', '256', '0', '257'],
    ['PASSWORD_HISTORY', '0', '24', '-1', '25'],
    ['LOCKOUT_MAX_ATTEMPTS', '1', '1000', '0', '1001'],
    ['LOCKOUT_DURATION', '1', '2592000', '0', '2592001'],
    ['MAX_SESSIONS', '1', '1000', '0', '1001'],
    ['RATE_LIMIT_PER_CALLER', '0', '1000000000', '-1', '1000000001'],
    ['RATE_LIMIT_PER_USER', '0', '1000000000', '-1', '1000000001'],
    ['RATE_LIMIT_PER_ADDRESS', '0', '1000000000', '-1', '1000000001'],
    ['RATE_LIMIT_PER_IDENTIFIER', '0', '1000000000', '-1', '1000000001'],
    ['AUDIT_RETENTION_DAYS', '1', '36500', '0', '36501'],
  ])('%s may be %s to %s, neither %s nor %s', (name, least, most, under, over) => {
    expect([least, most].flatMap((value) => problemsOf({ [name]: value }))).toEqual([]);
    for (const value of [under, over, '1.5', '1e2', '0x10', ' ', 'many', '99999999999999999999']) {
      expect(problemsOf({ [name]: value })[0]).toMatch(new RegExp(`^${name} must be `));
    }
    expect(problemsOf({ [name]: under })[0]).toMatch(/ must be at least \d+$/);
  });

  it.each([
    ['DATABASE_URL', 'localhost:5432/identity'],
    ['JWT_ALGORITHM', 'none'],
    ['PASSWORD_HASH', 'md5'],
    ['REQUIRE_VERIFIED_EMAIL', 'TRUE'],
    ['REQUIRED_PROFILE_FIELDS', 'full_name,shoe_size'],
    ['ALLOW_PLAINTEXT', 'yes'],
    ['REFLECTION', 'on'],
    ['LOG_LEVEL', 'verbose'],
    ['MAIL_FROM', 'Shop'],
    ['MAIL_FROM', 'Shop shop@example.com'],
    ['MAIL_FROM', 'Shop <shop>'],
    ['MAIL_FROM', 'one@example.com, two@example.com'],
    ['MAIL_FROM', 'Shop <shop@example.com>\r\nBcc: thief@example.com'],
  ])('%s cannot be %j', (name, value) => {
    expect(problemsOf({ [name]: value })).toEqual(expect.arrayContaining([expect.stringContaining(name)]));
  });

  it.each(['shop@example.com', 'Shop <shop@example.com>', '"Shop, Inc." <shop@example.com>'])('MAIL_FROM may be %s', (value) => {
    expect(problemsOf({ MAIL_FROM: value })).toEqual([]);
  });

  it('refuse a signing key of less than 32 bytes, counted in bytes', () => {
    const short = problemsOf({ JWT_SECRET_KEY: 'x'.repeat(31) });
    expect(short).toEqual(['JWT_SECRET_KEY must be at least 32 bytes']);
    expect(problemsOf({ JWT_SECRET_KEY: 'x'.repeat(31), DATABASE_URL: 'postgresql://db/x' })).toEqual(short);
    expect(problemsOf({ JWT_SECRET_KEY: 'x'.repeat(32) })).toEqual([]);
    expect(problemsOf({ JWT_SECRET_KEY: 'é'.repeat(16) })).toEqual([]);
  });

  it('never repeat a value that may be secret', () => {
    const problems = problemsOf({ DATABASE_URL: `mysql://user:${SECRET}@db/x`, JWT_SECRET_KEY: 'short-secret', GRPC_PORT: SECRET });
    expect(problems).toHaveLength(3);
    expect(problems.join()).not.toMatch(/never-to-be-seen|short-secret/);
  });
});

describe('where others can reach the port', () => {
  const TLS = { TLS_CERT_FILE: '/tls/server.crt', TLS_KEY_FILE: '/tls/server.key' };
  const OPEN = 'GRPC_HOST is not a loopback address: give TLS_CERT_FILE and TLS_KEY_FILE, or say ALLOW_PLAINTEXT=true';

  it.each(['0.0.0.0', '::', '192.168.1.5', 'identity.internal', '128.0.0.1', '127.example.com', '::ffff:10.0.0.1'])(
    'plaintext on %s is refused unless ALLOW_PLAINTEXT=true says so, or TLS is on',
    (host) => {
      expect(problemsOf({ GRPC_HOST: host })).toEqual([OPEN]);
      expect(problemsOf({ GRPC_HOST: host, ALLOW_PLAINTEXT: 'false' })).toEqual([OPEN]);
      expect(problemsOf({ GRPC_HOST: host, ALLOW_PLAINTEXT: 'true' })).toEqual([]);
      expect(problemsOf({ GRPC_HOST: host, ...TLS })).toEqual([]);
    },
  );

  it.each(['127.0.0.1', '127.1.2.3', '::1', 'localhost'])('plaintext on %s needs no permission: nobody else reaches it', (host) => {
    expect(problemsOf({ GRPC_HOST: host })).toEqual([]);
  });

  it('that is reported beside other problems', () => {
    expect(problemsOf({ GRPC_HOST: '0.0.0.0', GRPC_PORT: 'x' })).toEqual(['GRPC_PORT must be a whole number', OPEN]);
  });

  it('a certificate without its key, or a key without its certificate, is refused', () => {
    const together = 'TLS_CERT_FILE and TLS_KEY_FILE must be given together';
    expect(problemsOf({ TLS_CERT_FILE: '/tls/server.crt' })).toEqual([together]);
    expect(problemsOf({ TLS_KEY_FILE: '/tls/server.key' })).toEqual([together]);
    expect(problemsOf({ ...TLS, TLS_KEY_FILE: '' })).toEqual([together]);
  });

  it('a CA for client certificates is refused without a certificate of the server', () => {
    expect(problemsOf({ TLS_CLIENT_CA_FILE: '/tls/ca.crt' })).toEqual(['TLS_CLIENT_CA_FILE needs TLS_CERT_FILE and TLS_KEY_FILE']);
    expect(problemsOf({ TLS_CLIENT_CA_FILE: '/tls/ca.crt', ...TLS })).toEqual([]);
  });

  it.each([
    ['127.0.0.1', undefined, true],
    ['::1', undefined, true],
    ['localhost', undefined, true],
    ['0.0.0.0', undefined, false],
    ['::', undefined, false],
    ['identity.internal', undefined, false],
    ['0.0.0.0', 'true', true],
    ['127.0.0.1', 'false', false],
  ])('on %s with REFLECTION=%s, reflection is on: %s', (GRPC_HOST, REFLECTION, expected) => {
    expect(loadConfig({ GRPC_HOST, REFLECTION, ...TLS }).grpc.reflection).toBe(expected);
  });
});

describe('a secret', () => {
  const config = loadConfig({ DATABASE_URL: `postgresql://user:${SECRET}@db/x`, JWT_SECRET_KEY: SECRET, PASSWORD_PEPPER: SECRET });

  it.each([
    ['util.inspect', inspect(config, { depth: 9, showHidden: true })],
    ['JSON', JSON.stringify(config)],
    ['a template', `${config.jwt.secretKey} ${config.database.url} ${config.passwords.pepper}`],
    ['a concatenation', `${['', config.jwt.secretKey].join()}`],
    ['the values of an object', Object.values(config.jwt.secretKey ?? {}).join()],
  ])('is not shown by %s', (_, shown) => {
    expect(shown).not.toContain('never-to-be-seen');
  });

  it('prints as [redacted]', () => {
    expect(`${config.jwt.secretKey}`).toBe('[redacted]');
    expect(inspect(config.jwt.secretKey)).toBe('[redacted]');
    expect(JSON.stringify(config.jwt.secretKey)).toBe('"[redacted]"');
  });
});

describe('variables that are none of ours', () => {
  const asNames = (...names: string[]) => unknownVariables(Object.fromEntries(names.map((name) => [name, 'x'])));

  it.each([
    ['JWT_SECRET', 'JWT_SECRET_KEY'],
    ['GRPC_PROT', 'GRPC_PORT'],
    ['LOGLEVEL', 'LOG_LEVEL'],
    ['DATABASE_URI', 'DATABASE_URL'],
    ['LOCKOUT_MAX_ATTEMPT', 'LOCKOUT_MAX_ATTEMPTS'],
    ['RATE_LIMIT_PER_USERS', 'RATE_LIMIT_PER_USER'],
    ['SESSION_MAX_AGE_SECONDS', 'SESSION_MAX_AGE'],
    ['MAX_SESSION', 'MAX_SESSIONS'],
  ])('%s is told, with %s as what was probably meant', (name, nearest) => {
    expect(asNames(name)).toEqual([{ name, nearest }]);
  });

  it('are not told where they are those of others', () => {
    const others = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'LOGNAME', 'PWD', 'TZ', '_', 'HOSTNAME', 'NODE_OPTIONS', 'npm_config_loglevel'];
    const ofLibraries = ['GRPC_VERBOSITY', 'GRPC_TRACE', 'OTEL_TRACES_SAMPLER_ARG', 'OTEL_BSP_SCHEDULE_DELAY', 'NODE_EXTRA_CA_CERTS'];
    const ofKubernetes = ['MAIL_SERVICE_HOST', 'MAIL_PORT', 'MAIL_PORT_25_TCP_ADDR', 'DATABASE_SERVICE_PORT', 'KUBERNETES_PORT'];
    expect(asNames(...others, ...ofLibraries, ...ofKubernetes)).toEqual([]);
  });
});

describe('REQUIRE_DATABASE_URL', () => {
  it('ends a start that would make an embedded database', () => {
    expect(() => loadConfig({ REQUIRE_DATABASE_URL: 'true' })).toThrow('DATABASE_URL is required (REQUIRE_DATABASE_URL=true)');
    expect(loadConfig({ REQUIRE_DATABASE_URL: 'false' }).database.url).toBeUndefined();
  });
});
