import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = path.resolve(import.meta.dirname, '../src');

interface Import {
  /** A path below src, or the name of a package. */
  readonly from: string;
  /** Only types: nothing of it is there at run time. */
  readonly typeOnly: boolean;
}

interface SourceFile {
  /** Below src, e.g. `users/get-user.ts`. */
  readonly name: string;
  /** Without its comments. */
  readonly code: string;
  readonly imports: readonly Import[];
}

const IMPORT =
  /^(?:import|export)\s+(type\s+)?([\w*{}\s,$]*?)\s*from\s+'([^']+)'|^import\s+'([^']+)'|(?:\bimport|new URL)\(\s*'([^']+)'(?:, import\.meta\.url)?\s*\)/gm;

function sourceFile(name: string, text: string): SourceFile {
  const code = text.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');
  const imports = [...code.matchAll(IMPORT)].map(([, type, names = '', from, bare, dynamic]) => {
    const target = from ?? bare ?? dynamic ?? '';
    const named = /^\{(.*)\}$/s
      .exec(names.trim())?.[1]
      ?.split(',')
      .filter((item) => item.trim() !== '');
    return {
      from: target.startsWith('.') ? path.posix.join(path.posix.dirname(name), target) : target,
      typeOnly: type !== undefined || (named !== undefined && named.length > 0 && named.every((item) => item.trim().startsWith('type '))),
    };
  });
  return { name, code, imports };
}

const FILES = globSync('**/*.ts', { cwd: SRC })
  .map((name) => name.split(path.sep).join('/'))
  .filter((name) => !name.startsWith('gen/') && !name.endsWith('.d.ts'))
  .map((name) => sourceFile(name, readFileSync(path.join(SRC, name), 'utf8')));

const ORM = /^(@mikro-orm\/|pg$|pg-|kysely)/;
const FEATURES = [
  'users',
  'auth',
  'sessions',
  'audit',
  'roles',
  'service-accounts',
  'api-keys',
  'callers',
  'rate-limits',
  'events',
  'mail',
];

/** These work beside the calls, each on forks of its own: polls, what no caller waits for, an operator's command. */
const BESIDE_CALLS =
  /^(callers\/system-call|api-keys\/key-usage|audit\/refused-calls|events\/consume-events|mail\/deliver-mails|sessions\/activity)\.ts$/;

/** What has OpenTelemetry loaded. */
const LOADED_FOR_TRACES = /^tracing\/(open-telemetry|exporter|sampler)\.ts$/;

const featureOf = (name: string) => FEATURES.find((feature) => name.startsWith(`${feature}/`));

interface Rule {
  readonly rule: string;
  /** Whether a file breaks it. */
  readonly breaks: (file: SourceFile) => boolean;
  /** What would break it: a file and what it holds. */
  readonly examples: readonly (readonly [name: string, text: string])[];
}

const imports = (pattern: RegExp, options: { values?: boolean } = {}) => {
  return ({ imports }: SourceFile) => imports.some(({ from, typeOnly }) => pattern.test(from) && !(options.values && typeOnly));
};

const only = (allowed: RegExp, breaks: (file: SourceFile) => boolean) => (file: SourceFile) => !allowed.test(file.name) && breaks(file);

const RULES: readonly Rule[] = [
  {
    rule: 'rule 1: generated code is imported only by rpc/, *.rpc.ts and *.mapper.ts',
    breaks: only(/^rpc\/|\.rpc\.ts$|\.mapper\.ts$/, imports(/^gen\//)),
    examples: [
      ['users/get-user.ts', `import type { User } from '../gen/identity/v1/user.ts';`],
      ['app.ts', `import {\n  A,\n  B,\n} from './gen/identity/v1/user.ts';`],
      ['auth/tokens/a.ts', `const a = await import('../../gen/identity/v1/user.ts');`],
    ],
  },
  {
    rule: 'rule 1: gRPC is imported only by rpc/, *.rpc.ts, app.ts and client/',
    breaks: only(/^rpc\/|\.rpc\.ts$|^app\.ts$|^client\//, imports(/^(@grpc\/|grpc-health-check)/)),
    examples: [
      ['users/get-user.ts', `import { status } from '@grpc/grpc-js';`],
      ['main.ts', `import type { Server } from '@grpc/grpc-js';`],
    ],
  },
  {
    rule: 'rule 2: ORM and driver are used only by *.entity.ts, *.repository.ts and database/; others know their types',
    breaks: only(/\.entity\.ts$|\.repository\.ts$|^database\//, imports(ORM, { values: true })),
    examples: [
      ['users/get-user.ts', `import { type EntityManager, LockMode } from '@mikro-orm/postgresql';`],
      ['call/call.ts', `import pg from 'pg';`],
    ],
  },
  {
    rule: 'rule 2: repositories never commit',
    breaks: ({ name, code }) =>
      name.endsWith('.repository.ts') && (/\.(flush|commit|begin|transactional)\(/.test(code) || /database\/transaction/.test(code)),
    examples: [
      ['users/user.repository.ts', 'await em.flush();'],
      ['users/user.repository.ts', `import { transaction } from '../database/transaction.ts';`],
    ],
  },
  {
    rule: 'rule 3: only the edges (a call, a transaction, a probe, a chore, what works beside the calls) fork an entity manager, and nobody keeps one in a context',
    breaks: ({ name, code }) =>
      (!/^rpc\/|^database\/|^(app|parts|housekeeping)\.ts$/.test(name) &&
        !BESIDE_CALLS.test(name) &&
        /(?<!\bcluster)\.fork\(/.test(code)) ||
      /\bRequestContext\b/.test(code),
    examples: [
      ['users/get-user.ts', 'const own = em.fork();'],
      ['callers/identify-caller.ts', 'const own = em.fork();'],
      ['rpc/unary.ts', 'RequestContext.create(em, next);'],
    ],
  },
  {
    rule: 'rule 4: policies know neither ORM nor clock nor anything else outside of them',
    breaks: ({ name, code, imports }) =>
      name.endsWith('-policy.ts') &&
      (/new Date\(\s*\)|Date\.now|performance\.|process\.|Math\.random|\bawait\b/.test(code) || imports.some(({ from }) => from !== 'zod')),
    examples: [
      ['auth/lockout/lockout-policy.ts', 'const now = new Date();'],
      ['auth/lockout/lockout-policy.ts', 'const now = Date.now();'],
      ['auth/tokens/refresh-policy.ts', `import type { EntityManager } from '@mikro-orm/postgresql';`],
    ],
  },
  {
    rule: 'rule 5: users never uses auth, nor anything that is there to let others in',
    breaks: (file) => featureOf(file.name) === 'users' && imports(/^(auth|callers|api-keys|rate-limits|service-accounts|sessions)\//)(file),
    examples: [
      ['users/get-user.ts', `import type { Passwords } from '../auth/passwords/passwords.ts';`],
      ['users/delete-user.ts', `import { countApiKeysOfUser } from '../api-keys/api-key.repository.ts';`],
    ],
  },
  {
    rule: 'rule 6: no barrels',
    breaks: ({ name, code }) => /(^|\/)index\.ts$/.test(name) || /^export\s+(type\s+)?[\w*{}\s,$]*\bfrom\b/m.test(code),
    examples: [
      ['users/index.ts', ''],
      ['users/all.ts', `export * from './get-user.ts';`],
      ['users/some.ts', `export { getUser } from './get-user.ts';`],
    ],
  },
  {
    rule: 'rule 6: no utils, helpers or common',
    breaks: ({ name }) => /(^|[/.-])(utils?|helpers?|common|shared|misc)([/.-])/.test(name),
    examples: [
      ['utils/text.ts', ''],
      ['users/user-helpers.ts', ''],
      ['common.ts', ''],
    ],
  },
  {
    rule: 'rule 6: no container, no decorators, no base repository',
    breaks: (file) =>
      imports(/^(inversify|tsyringe|awilix|typedi|@nestjs\/|reflect-metadata)/)(file) ||
      /^\s*@\w+/m.test(file.code) ||
      /\bEntityRepository\b|extends \w*Repository\b/.test(file.code),
    examples: [
      ['app.ts', `import { createContainer } from 'awilix';`],
      ['users/user.entity.ts', '@Entity()\nclass User {}'],
      ['users/user.repository.ts', 'class UserRepository extends BaseRepository {}'],
    ],
  },
  {
    rule: 'rule 6: no hashing in entities',
    breaks: (file) =>
      file.name.endsWith('.entity.ts') &&
      (imports(/bcrypt|^node:crypto|\/passwords\/.*(?<!entity)\.ts$/)(file) || /\bhooks\b/.test(file.code)),
    examples: [
      ['users/user.entity.ts', `import bcrypt from 'bcrypt';`],
      ['users/user.entity.ts', 'const schema = { hooks: { beforeCreate: [hash] } };'],
    ],
  },
  {
    rule: 'rule 6: no any',
    breaks: ({ code }) => /[:<|&(,]\s*any\b(?!\s*[:(])|\bas any\b|\bany\[\]/.test(code),
    examples: [
      ['users/get-user.ts', 'const user: any = row;'],
      ['users/get-user.ts', 'const user = row as any;'],
      ['users/get-user.ts', 'const users: Map<string, any> = rows;'],
    ],
  },
  {
    rule: 'OpenTelemetry is known to tracing/ alone, and loaded by one file, which is itself loaded only where traces are wanted',
    breaks: (file) =>
      (!/^tracing\//.test(file.name) && imports(/^@opentelemetry\//)(file)) ||
      (!LOADED_FOR_TRACES.test(file.name) && imports(/^@opentelemetry\//, { values: true })(file)) ||
      (file.imports.some(({ from }) => LOADED_FOR_TRACES.test(from)) &&
        !LOADED_FOR_TRACES.test(file.name) &&
        !(file.name === 'observability/tracing/tracer.ts' && file.code.includes("await import('./open-telemetry.ts')"))),
    examples: [
      ['rpc/unary.ts', `import type { Span } from '@opentelemetry/api';`],
      ['observability/tracing/tracer.ts', `import { trace } from '@opentelemetry/api';`],
      ['parts.ts', `import { OpenTelemetryTracer } from './tracing/open-telemetry.ts';`],
      ['observability/tracing/tracer.ts', `import { OpenTelemetryTracer } from './open-telemetry.ts';`],
    ],
  },
  {
    rule: 'rpc/, database/, metrics/ and tracing/ know no feature',
    breaks: (file) => /^(rpc|database|metrics|tracing)\//.test(file.name) && imports(new RegExp(`^(${FEATURES.join('|')})/`))(file),
    examples: [
      ['rpc/status.ts', `import { userConstraints } from '../users/user.errors.ts';`],
      ['database/orm.ts', `import { User } from '../users/user.entity.ts';`],
      ['rpc/unary.ts', `import { identifyCaller } from '../callers/identify-caller.ts';`],
    ],
  },
  {
    rule: 'only the programs themselves read the environment and end the process',
    breaks: only(/^(main|command|healthcheck)\.ts$|^database\/embedded-/, ({ code }) => /process\.(env|exit)\b/.test(code)),
    examples: [['auth/login.ts', 'const cost = process.env.BCRYPT_COST;']],
  },
];

describe.each(RULES)('$rule', ({ breaks, examples }) => {
  it('holds for every file', () => {
    expect(FILES.filter(breaks).map(({ name }) => name)).toEqual([]);
  });

  it.each(examples)('would not hold with %s: %s', (name, text) => {
    expect(breaks(sourceFile(name, text))).toBe(true);
  });
});

describe('features', () => {
  /** `users → audit` for each feature and the ones that it imports from, types included. */
  const edges = new Set(
    FILES.flatMap(({ name, imports }) => {
      const feature = featureOf(name);
      return imports.flatMap(({ from }) => {
        const used = featureOf(from);
        return feature && used && feature !== used ? [`${feature} → ${used}`] : [];
      });
    }),
  );

  it('use each other in these directions only', () => {
    expect([...edges].sort()).toEqual([
      'api-keys → audit',
      'api-keys → roles', // a key reaches as far as the roles of its owner
      'api-keys → service-accounts',
      'api-keys → users',
      'audit → events', // what happened is told to whoever follows
      'audit → users', // an event belongs to a user
      'auth → audit',
      'auth → rate-limits',
      'auth → sessions',
      'auth → users',
      'callers → api-keys',
      'callers → auth', // access tokens
      'callers → events', // a session that ends is forgotten
      'callers → roles',
      'callers → service-accounts',
      'callers → sessions',
      'mail → audit', // what could not be sent
      'mail → callers',
      'mail → events', // mails follow them
      'mail → sessions',
      'mail → users',
      'rate-limits → audit', // whom a caller vouches for
      'roles → audit',
      'roles → service-accounts', // a role is assigned to users and service accounts
      'roles → users',
      'service-accounts → audit',
      'service-accounts → roles', // a service account is made together with its roles
      'sessions → audit',
      'sessions → users',
      'users → audit', // what happens to a user is recorded
    ]);
  });

  it('form two circles, each of two that cannot be told apart', () => {
    const reached = (from: string, seen = new Set<string>()): Set<string> => {
      for (const edge of edges) {
        const [user, used = ''] = edge.split(' → ');
        if (user !== from || seen.has(used)) continue;
        reached(used, seen.add(used));
      }
      return seen;
    };
    const circles = FEATURES.filter((feature) => reached(feature).has(feature)).map((feature) =>
      [...reached(feature)].filter((other) => reached(other).has(feature)).sort(),
    );
    expect([...new Set(circles.map((circle) => circle.join(' ↔ ')))].sort()).toEqual(['audit ↔ users', 'roles ↔ service-accounts']);
  });

  it('are all there is below src, beside what knows no feature', () => {
    const folders = new Set(FILES.filter(({ name }) => name.includes('/')).map(({ name }) => name.slice(0, name.indexOf('/'))));
    expect([...folders].sort()).toEqual([...FEATURES, 'admin', 'cluster', 'database', 'metrics', 'rpc', 'tracing'].sort());
  });
});

describe('the test itself', () => {
  it('has seen the files and their imports', () => {
    expect(FILES.length).toBeGreaterThan(120);
    const appImports = FILES.find(({ name }) => name === 'app.ts')?.imports ?? [];
    expect(appImports).toContainEqual({ from: '@grpc/grpc-js', typeOnly: true });
    const wiring = FILES.find(({ name }) => name === 'services.ts')?.imports ?? [];
    expect(wiring).toContainEqual({ from: 'users/user.rpc.ts', typeOnly: false });
    expect(FILES.find(({ name }) => name === 'rpc/server.ts')?.imports).toContainEqual({ from: '@grpc/grpc-js', typeOnly: false });
  });
});
