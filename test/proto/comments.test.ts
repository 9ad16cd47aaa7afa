import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { readAccess } from '../../src/rpc/access.ts';
import { DESCRIPTORS } from '../../src/rpc/descriptors.ts';
import { ELEMENTS, type Element } from './elements.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const README = readFileSync(path.join(ROOT, 'README.md'), 'utf8');

const of = (...kinds: Element['kind'][]) => ELEMENTS.filter(({ kind }) => kinds.includes(kind));

/** The status codes by the reasons that come with them, as the comments of ErrorReason begin. */
const CODES: ReadonlyMap<string, string> = new Map(
  of('value')
    .filter(({ fullName }) => fullName.startsWith('identity.v1.ErrorReason.'))
    .map(({ name, comment }) => [name, comment.slice(0, comment.indexOf('.'))]),
);

const ACCESS = readAccess(DESCRIPTORS);
const NAMES = new Set(ELEMENTS.map(({ name }) => name));

interface Rule {
  readonly rule: string;
  readonly of: readonly Element[];
  readonly breaks: (element: Element) => boolean;
  /** Comments of a GetUser, all of which break it. */
  readonly examples: readonly string[];
}

const GET_USER = of('rpc').find(({ fullName }) => fullName === 'identity.v1.UserService.GetUser') as Element;

/** Opens with a question that it does not ask. */
const QUESTION = /^(what|who|whom|whose|where|which|how|when|why|whether)\b/i;

/** The errors that any call can have. */
const OF_EVERY_CALL = [
  'CALLER_UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'INVALID_FIELDS',
  'MALFORMED_MESSAGE',
  'MESSAGE_TOO_LARGE',
  'RATE_LIMITED',
  'DATABASE_UNAVAILABLE',
  'CALL_CANCELLED',
  'CALL_DEADLINE_EXCEEDED',
  'INTERNAL_ERROR',
];

/** `NOT_FOUND (USER_NOT_FOUND, ROLE_NOT_FOUND)` → each reason with its code. */
function errorsIn(comment: string): [reason: string, code: string][] {
  return [...comment.matchAll(/\b([A-Z_]+) \(([A-Z_]{3,}(?:, [A-Z_]{3,})*)\)/g)]
    .filter(([, code = '']) => code in status)
    .flatMap(([, code = '', reasons = '']) => reasons.split(', ').map((reason): [string, string] => [reason, code]));
}

const withoutErrors = (comment: string) => !/\bErrors: (those of every call\b|[A-Z_]+ \([A-Z_])/.test(comment);

/** In capitals, with an underscore: a reason, a code, a value of an enum here, or a setting that the README explains. */
function unknownWords(comment: string): string[] {
  const words = comment.match(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g) ?? [];
  return words.filter((word) => !CODES.has(word) && !(word in status) && !NAMES.has(word) && !README.includes(`\`${word}\``));
}

const RULES: readonly Rule[] = [
  {
    rule: 'everything has a comment, of whole sentences',
    of: ELEMENTS,
    breaks: ({ comment }) => !/^\S.*[.…]$/.test(comment),
    examples: ['', 'Gets one user'],
  },
  {
    rule: 'no comment opens with a question',
    of: ELEMENTS,
    breaks: ({ comment }) => QUESTION.test(comment),
    examples: ['What is known about the person.', 'Whether it works.', 'Who makes this call.'],
  },
  {
    rule: 'the comment of a service, an RPC, a message, an enum and a oneof begins with its name',
    of: of('service', 'rpc', 'message', 'enum', 'oneof'),
    breaks: ({ name, comment }) => !comment.startsWith(`${name} `),
    examples: ['Gets one user by id.'],
  },
  {
    rule: 'an RPC names the permission that it needs',
    of: of('rpc'),
    breaks: ({ fullName, name, comment }) => {
      const permission = ACCESS.get(`/${fullName.slice(0, -name.length - 1)}/${name}`)?.permission;
      return permission === '' ? !comment.includes('Needs no permission') : !comment.includes(`Needs ${permission}`);
    },
    examples: [
      'GetUser gets one user.',
      'GetUser gets one user. Needs identity.users.write.',
      'GetUser gets one user. Needs no permission.',
    ],
  },
  {
    rule: 'an RPC names its errors',
    of: of('rpc'),
    breaks: ({ comment }) => withoutErrors(comment),
    examples: ['GetUser gets one user. Needs identity.users.read.', 'GetUser gets one user. Errors: some.'],
  },
  {
    rule: 'the errors of a comment exist, and come with the code that it says',
    of: ELEMENTS,
    breaks: ({ comment }) => errorsIn(comment).some(([reason, code]) => CODES.get(reason) !== code),
    examples: [
      'Errors: NOT_FOUND (PERSON_NOT_FOUND).',
      'Errors: ABORTED (USER_NOT_FOUND).',
      'Errors: NOT_FOUND (USER_NOT_FOUND, RATE_LIMITED).',
    ],
  },
  {
    rule: 'the settings and values of a comment exist',
    of: ELEMENTS,
    breaks: ({ comment }) => unknownWords(comment).length > 0,
    examples: ['A user has at most MOST_SESSIONS (5) of them.'],
  },
];

describe.each(RULES)('$rule', ({ of: elements, breaks, examples }) => {
  it('holds', () => expect(elements.filter(breaks).map(({ fullName }) => fullName)).toEqual([]));

  it.each(examples)('would not with "%s"', (comment) => expect(breaks({ ...GET_USER, comment })).toBe(true));
});

describe('the comment of a service', () => {
  it.each(of('service').map(({ name, comment }) => [name, comment] as const))('%s names the errors of every call', (_, comment) => {
    expect(errorsIn(comment).map(([reason]) => reason)).toEqual(expect.arrayContaining(OF_EVERY_CALL));
  });
});

describe('the comment of a reason', () => {
  it.each([...CODES].filter(([reason]) => reason !== 'ERROR_REASON_UNSPECIFIED'))('%s begins with its code', (_, code) => {
    expect(status).toHaveProperty(code);
  });
});

describe('a line', () => {
  const lines = globSync('proto/identity/**/*.proto', { cwd: ROOT }).flatMap((name) =>
    readFileSync(path.join(ROOT, name), 'utf8')
      .split('\n')
      .map((text, index) => ({ place: `${name}:${index + 1}`, text })),
  );

  it('has at most 120 characters', () => {
    expect(lines.filter(({ text }) => [...text].length > 120).map(({ place }) => place)).toEqual([]);
    expect(lines.length).toBeGreaterThan(1500);
  });
});

describe('the test itself', () => {
  it('has seen everything', () => {
    expect(of('rpc').length).toBe(ACCESS.size);
    expect(of('oneof').map(({ name }) => name)).toContain('owner');
    expect(of('value').length).toBeGreaterThan(40);
    expect(errorsIn('Errors: NOT_FOUND (USER_NOT_FOUND); ABORTED (CONCURRENT_UPDATE).')).toEqual([
      ['USER_NOT_FOUND', 'NOT_FOUND'],
      ['CONCURRENT_UPDATE', 'ABORTED'],
    ]);
  });
});
