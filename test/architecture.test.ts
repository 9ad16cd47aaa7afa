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

const FEATURES = ['users', 'sessions', 'auth', 'access', 'audit', 'events', 'mail', 'rate-limits', 'callers'];

/** These know no feature. */
const FOUNDATIONS = ['call', 'concurrency', 'database', 'jobs', 'observability', 'rpc', 'secrets', 'settings'];

/** These put everything together, and nobody imports them. */
const PROGRAM = ['app', 'commands', 'process'];

/** These work beside the calls, each on forks of its own: polls, what no caller waits for, an operator's command. */
const BESIDE_CALLS =
  /^(call\/system-call|access\/api-keys\/key-usage|events\/consume-events|mail\/deliver-mails|sessions\/activity|jobs\/cleanup)\.ts$/;

/** These load OpenTelemetry. */
const LOADED_FOR_TRACES = /^observability\/tracing\/(open-telemetry|exporter|sampler)\.ts$/;

const roomOf = (name: string) => (name.includes('/') ? name.slice(0, name.indexOf('/')) : name);

/** The folder that each table belongs to, by what the entities say. */
const OWNERS: ReadonlyMap<string, string> = new Map(
  FILES.filter(({ name }) => name.endsWith('.entity.ts')).flatMap(({ name, code }) =>
    [...code.matchAll(/tableName: '(\w+)'/g)].map(([, table = '']) => [table, path.posix.dirname(name)] as const),
  ),
);

/** Joins across rooms, each with the figure that justifies it, or the reason why it cannot be otherwise. */
const JOINS: Readonly<Record<string, { readonly tables: readonly string[]; readonly because: string }>> = {
  'users/user.entity.ts': {
    tables: ['user_roles', 'roles'],
    because: 'role names are read along with the user: a query less for LookupUser and for every change of a user',
  },
  'users/user-view.repository.ts': {
    tables: ['user_roles', 'roles'],
    because: 'BatchGetUsers of 100: joined roles make it 1.33 times as fast as a subquery for each user',
  },
  'users/user-page.repository.ts': {
    tables: ['user_roles', 'roles'],
    because: 'ListUsers by role: an index has them in order; a page costs 1.67 times one without a filter, at a million users (goal 3)',
  },
  'sessions/rotate-session.repository.ts': {
    tables: ['users'],
    because: 'RefreshToken is one statement (ADR 13): 0.68 of what one write of a row can do, 0.50 with a table of tokens',
  },
  'auth/introspection/live-session.repository.ts': {
    tables: ['sessions', 'users'],
    because: 'a token that is not remembered costs one statement for all who ask at once: 3,249 a second instead of 1,355',
  },
  'auth/lockout/login-attempt.repository.ts': {
    tables: ['users'],
    because:
      'one guarded statement counts an attempt, for accounts that exist and those that do not (ADR 5): parallel guesses count exactly',
  },
  'access/api-keys/recognised-api-key.repository.ts': {
    tables: ['users', 'service_accounts'],
    because: 'a key that is not remembered costs one statement for all who ask at once, before any call may begin',
  },
  'access/roles/role.repository.ts': {
    tables: ['users', 'service_accounts'],
    because: 'CheckPermission sees subject and grants in one snapshot',
  },
  'access/roles/user-role.entity.ts': { tables: ['users'], because: 'a trigger of the database, which can call no room' },
};

/** The tables that a file names in SQL although it may not. */
function foreignTables({ name, code }: SourceFile): string[] {
  // A comma goes on with a list of tables; mails are also what changes are turned into.
  const named = [...OWNERS.keys()].filter((table) =>
    new RegExp(`(?<!turned )\\b(?:from|join|into|update|table|true,)\\s+\\(?"?${table}\\b`, 'i').test(code),
  );
  const mayNameOwn = /\.(entity|repository)\.ts$/.test(name);
  return named.filter((table) => !(mayNameOwn && OWNERS.get(table) === path.posix.dirname(name)) && !JOINS[name]?.tables.includes(table));
}

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
      ['app/app.ts', `import {\n  A,\n  B,\n} from '../gen/identity/v1/user.ts';`],
      ['auth/tokens/a.ts', `const a = await import('../../gen/identity/v1/user.ts');`],
    ],
  },
  {
    rule: 'rule 1: gRPC is imported only by rpc/, *.rpc.ts and app/',
    breaks: only(/^rpc\/|\.rpc\.ts$|^app\//, imports(/^(@grpc\/|grpc-health-check)/)),
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
    rule: 'rule 3: only the edges (a call, a transaction, a probe, a job, what works beside the calls) fork an entity manager, and nobody keeps one in a context',
    breaks: ({ name, code }) =>
      (!/^(rpc|database|app)\//.test(name) && !BESIDE_CALLS.test(name) && /(?<!\bcluster)\.fork\(/.test(code)) ||
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
    breaks: (file) => roomOf(file.name) === 'users' && imports(/^(auth|callers|access|rate-limits|sessions|mail)\//)(file),
    examples: [
      ['users/get-user.ts', `import type { Passwords } from '../auth/passwords/passwords.ts';`],
      ['users/delete-user.ts', `import { findApiKeysOf } from '../access/api-keys/api-key.repository.ts';`],
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
    rule: 'OpenTelemetry is known to observability/tracing/ alone, and loaded by one file, which is itself loaded only where traces are wanted',
    breaks: (file) =>
      (!/^observability\/tracing\//.test(file.name) && imports(/^@opentelemetry\//)(file)) ||
      (!LOADED_FOR_TRACES.test(file.name) && imports(/^@opentelemetry\//, { values: true })(file)) ||
      (file.imports.some(({ from }) => LOADED_FOR_TRACES.test(from)) &&
        !LOADED_FOR_TRACES.test(file.name) &&
        !(file.name === 'observability/tracing/tracer.ts' && file.code.includes("await import('./open-telemetry.ts')"))),
    examples: [
      ['rpc/unary.ts', `import type { Span } from '@opentelemetry/api';`],
      ['observability/tracing/tracer.ts', `import { trace } from '@opentelemetry/api';`],
      ['app/resources.ts', `import { OpenTelemetryTracer } from '../observability/tracing/open-telemetry.ts';`],
      ['observability/tracing/tracer.ts', `import { OpenTelemetryTracer } from './open-telemetry.ts';`],
    ],
  },
  {
    rule: 'the foundations know no feature, and nobody but the program knows the program',
    breaks: (file) =>
      (FOUNDATIONS.includes(roomOf(file.name)) && imports(new RegExp(`^(${FEATURES.join('|')})/`))(file)) ||
      (!PROGRAM.includes(roomOf(file.name)) &&
        !/^(main|config)\.ts$/.test(file.name) &&
        imports(new RegExp(`^((${PROGRAM.join('|')})/|config\\.ts$)`))(file)),
    examples: [
      ['rpc/status.ts', `import { userConstraints } from '../users/user.errors.ts';`],
      ['database/orm.ts', `import { User } from '../users/user.entity.ts';`],
      ['rpc/unary.ts', `import { identifyCaller } from '../callers/identify-caller.ts';`],
      ['mail/mailer.ts', `import type { Config } from '../config.ts';`],
      ['sessions/activity.ts', `import type { Resources } from '../app/resources.ts';`],
    ],
  },
  {
    rule: 'call/ knows no gRPC, and use cases do not, either: only *.rpc.ts, *.mapper.ts, app/ and the programs import rpc/',
    breaks: only(/^(rpc|app|process|commands)\/|^config\.ts$|\.rpc\.ts$|\.mapper\.ts$/, imports(/^rpc\//)),
    examples: [
      ['call/page-token.ts', `import { readAccess } from '../rpc/access.ts';`],
      ['access/api-keys/create-api-key.ts', `import { DESCRIPTORS } from '../../rpc/descriptors.ts';`],
    ],
  },
  {
    rule: 'rule 8: SQL names only the tables of the folder that it is in, and only in *.entity.ts and *.repository.ts',
    breaks: (file) => foreignTables(file).length > 0,
    examples: [
      ['sessions/end-sessions.ts', `em.execute('update sessions set revoked_at = now()');`],
      ['sessions/session.repository.ts', `em.execute('select 1 from users for update');`],
      ['mail/mail.repository.ts', 'em.execute(`insert into "events" (type) values (1)`);'],
      ['users/user.repository.ts', 'em.execute(`select 1 from users u join lateral (select 1) l on true, roles where true`);'],
    ],
  },
  {
    rule: 'rule 11: dependencies are used through their public surface: no file of a package is imported by its path',
    breaks: imports(/^(@[^/]+\/)?[^/.][^/]*\/(lib|build|dist|src)\//),
    examples: [
      ['observability/metrics/metrics.ts', `import Counter from 'prom-client/lib/counter.js';`],
      ['rpc/interceptor.ts', `import { BaseServerInterceptingCall } from '@grpc/grpc-js/build/src/server-interceptors.js';`],
    ],
  },
  {
    rule: 'only the programs themselves read the environment and end the process',
    breaks: only(/^(main\.ts$|commands\/)|^database\/embedded\//, ({ code }) => /process\.(env|exit)\b/.test(code)),
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

describe('rooms', () => {
  /** `users → audit` for each room and the ones that it imports from, types included. config.ts adds up the settings of all, and is no room. */
  const edges = new Set(
    FILES.filter(({ name }) => name !== 'config.ts').flatMap(({ name, imports }) =>
      imports.flatMap(({ from }) => {
        const [room, used] = [roomOf(name), roomOf(from)];
        return from.startsWith('gen/') || !from.endsWith('.ts') || room === used ? [] : [`${room} → ${used}`];
      }),
    ),
  );
  const rooms = [...new Set(FILES.map(({ name }) => roomOf(name)))];

  it('are those of the house, and nothing lies loose beside them but the program and its settings', () => {
    expect(rooms.sort()).toEqual([...FEATURES, ...FOUNDATIONS, ...PROGRAM, 'config.ts', 'main.ts'].sort());
  });

  it('form one circle, of two that a foreign key joins: an event belongs to a user, and what happens to a user is recorded', () => {
    const reached = (from: string, seen = new Set<string>()): Set<string> => {
      for (const edge of edges) {
        const [user, used = ''] = edge.split(' → ');
        if (user !== from || seen.has(used)) continue;
        reached(used, seen.add(used));
      }
      return seen;
    };
    const circles = rooms
      .filter((room) => reached(room).has(room))
      .map((room) => [...reached(room)].filter((other) => reached(other).has(room)).sort());
    expect([...new Set(circles.map((circle) => circle.join(' ↔ ')))]).toEqual(['audit ↔ users']);
  });

  it('use each other in these directions only', () => {
    const between = [...edges].filter((edge) => edge.split(' → ').every((room) => FEATURES.includes(room)));
    expect(between.sort()).toEqual([
      'access → audit',
      'access → events', // a change of what somebody may do begins an epoch
      'access → sessions', // whoever gives rights is still signed in
      'access → users', // roles and keys belong to users
      'audit → events', // what happened is told to whoever follows
      'audit → users', // an event belongs to a user
      'auth → access', // what a user may do is a part of an introspection
      'auth → audit',
      'auth → events', // a session that ends is forgotten
      'auth → rate-limits',
      'auth → sessions',
      'auth → users',
      'callers → access', // keys and certificates
      'callers → auth', // access tokens
      'callers → events', // a new epoch forgets them
      'mail → audit', // what could not be sent
      'mail → events', // mails follow them
      'mail → sessions', // on which device
      'mail → users',
      'sessions → audit',
      'sessions → users',
      'users → audit', // what happens to a user is recorded
      'users → events', // a deactivation begins an epoch
    ]);
  });
});

describe('joins across rooms', () => {
  it.each(Object.entries(JOINS))('%s needs the exception that it has', (name, { tables }) => {
    const { code } = FILES.find((file) => file.name === name) as SourceFile;
    expect(foreignTables({ name: name.replace(/[^/]+$/, 'unlisted.repository.ts'), code, imports: [] }).sort()).toEqual([...tables].sort());
  });
});

describe('the test itself', () => {
  it('has seen the files and their imports', () => {
    expect(FILES.length).toBeGreaterThan(120);
    const appImports = FILES.find(({ name }) => name === 'app/app.ts')?.imports ?? [];
    expect(appImports).toContainEqual({ from: '@grpc/grpc-js', typeOnly: true });
    expect(OWNERS.size).toBe(23);
    const wiring = FILES.find(({ name }) => name === 'app/services.ts')?.imports ?? [];
    expect(wiring).toContainEqual({ from: 'users/user.rpc.ts', typeOnly: false });
    expect(FILES.find(({ name }) => name === 'rpc/server.ts')?.imports).toContainEqual({ from: '@grpc/grpc-js', typeOnly: false });
  });
});

describe('comments', () => {
  const COMMENT = /\/\*[\s\S]*?\*\/|(?:(?<=^|\s)\/\/.*(?:\n\s*)?)+/gm;
  const QUESTION_WORDS = 'What|Who|Whom|Whose|Where|Which|How|When|Why|Whether|Whoever|Whatever';
  const OPENING = new RegExp(`(?:^|[.!?] )(?:${QUESTION_WORDS})\\b.*`);

  /** The openings of comments, and of sentences in them, that are a bare question word. */
  const questionsIn = (text: string): string[] =>
    (text.match(COMMENT) ?? [])
      .map((comment) =>
        comment
          .replace(/^\s*(?:\/\*+|\/\/|\*(?!\/))|\*\/$/gm, '')
          .replace(/\s+/g, ' ')
          .trim(),
      )
      .flatMap((comment) => OPENING.exec(comment)?.[0] ?? []);

  it('begin with the thing that they speak of, not with a bare question word', () => {
    const questions = FILES.flatMap(({ name }) =>
      questionsIn(readFileSync(path.join(SRC, name), 'utf8')).map((text) => `${name}: ${text}`),
    );
    expect(questions).toEqual([]);
  });

  it.each([
    '/** Whose email it is. */',
    '/**\n * What is stored of a token.\n */',
    '  // How long to wait.',
    'const port = 1; // Where it listens.',
    '/** The sessions of a user. Whoever comes\n * second sees them. */',
    '// The sessions of a user.\n  // Which they may end.',
  ])('would not hold with %j', (text) => {
    expect(questionsIn(text)).toHaveLength(1);
  });

  it.each(['/** Tells whether it is open. */', "const url = 'http://What';", '// The port, where it is known.'])(
    'holds with %j',
    (text) => {
      expect(questionsIn(text)).toEqual([]);
    },
  );
});
