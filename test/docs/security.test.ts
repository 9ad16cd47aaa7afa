import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { createFileRegistry, type DescMessage, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { DESCRIPTORS } from '../../src/rpc/descriptors.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const PAGE = readFileSync(path.join(ROOT, 'docs/security.md'), 'utf8');

const REGISTRY = createFileRegistry(fromBinary(FileDescriptorSetSchema, DESCRIPTORS));

/** OWASP ASVS 5.0, V6 to V9: all requirements of levels 1 and 2, by level. Written by hand. */
const REQUIREMENTS: Readonly<Record<string, readonly string[]>> = {
  1: [
    ...['6.1.1', '6.2.1', '6.2.2', '6.2.3', '6.2.4', '6.2.5', '6.2.6', '6.2.7', '6.2.8', '6.3.1', '6.3.2', '6.4.1', '6.4.2'],
    ...['7.2.1', '7.2.2', '7.2.3', '7.2.4', '7.4.1', '7.4.2'],
    ...['8.1.1', '8.2.1', '8.2.2', '8.3.1'],
    ...['9.1.1', '9.1.2', '9.1.3', '9.2.1'],
  ],
  2: [
    ...['6.1.2', '6.1.3', '6.2.9', '6.2.10', '6.2.11', '6.2.12', '6.3.3', '6.3.4', '6.4.3', '6.4.4'],
    ...['6.5.1', '6.5.2', '6.5.3', '6.5.4', '6.5.5', '6.6.1', '6.6.2', '6.6.3', '6.8.1', '6.8.2', '6.8.3', '6.8.4'],
    ...['7.1.1', '7.1.2', '7.1.3', '7.3.1', '7.3.2', '7.4.3', '7.4.4', '7.4.5', '7.5.1', '7.5.2', '7.6.1', '7.6.2'],
    ...['8.1.2', '8.2.3', '8.4.1'],
    ...['9.2.2', '9.2.3', '9.2.4'],
  ],
};

/** Those whose files have to show something. */
const SHOWN = /^(holds|in part)\b/;
const STATUS = /^(holds|in part|operator's part|caller's part|does not hold yet|not applicable)(?=[:;]|$| for )/;

interface Requirement {
  readonly number: string;
  readonly level: string;
  readonly status: string;
  readonly files: readonly string[];
}

const cellsOf = (line: string) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());

function requirementsIn(text: string): Requirement[] {
  const lines = text.split('\n').filter((line) => /^\| \d+\.\d+\.\d+ \|/.test(line));
  return lines.map((line) => {
    const [number = '', level = '', , status = '', shownBy = ''] = cellsOf(line);
    return { number, level, status, files: [...shownBy.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name) };
  });
}

/** The files that a requirement names and that are not there, by their exact paths. */
const missing = ({ files }: Pick<Requirement, 'files'>) =>
  files.filter((name) => statSync(path.join(ROOT, name), { throwIfNoEntry: false })?.isFile() !== true);

const numeric = (one: string, other: string) => one.localeCompare(other, 'en', { numeric: true });

describe('the table of ASVS', () => {
  const requirements = requirementsIn(PAGE);

  it.each(Object.keys(REQUIREMENTS))('has every requirement of level %s once', (level) => {
    const numbers = requirements.filter((requirement) => requirement.level === level).map(({ number }) => number);
    expect(numbers.sort(numeric)).toEqual([...(REQUIREMENTS[level] ?? [])].sort(numeric));
  });

  it.each(requirements)('says of $number how it stands, and names files that are there', (requirement) => {
    expect(requirement.status).toMatch(STATUS);
    expect(missing(requirement)).toEqual([]);
    if (SHOWN.test(requirement.status)) expect(requirement.files).not.toEqual([]);
  });

  it('would not let a file pass that is nowhere, is a folder, or has another one before it', () => {
    expect(missing({ files: ['test/nowhere.test.ts', 'test/docs', 'docs/security.test.ts'] })).toHaveLength(3);
  });
});

describe('the ways in', () => {
  const services = [...REGISTRY].filter((type) => type.kind === 'service');
  const [, section = ''] = PAGE.split(/^### Ways in.*$/m);
  const named = [...(section.split(/^### /m)[0] ?? '').matchAll(/`([A-Z]\w+)`/g)].map(([, name]) => name);

  const hasField = ({ fields }: DescMessage, test: (name: string, message: string | undefined) => boolean) =>
    fields.some(({ name, message }) => test(name, message?.typeName));

  const rpcsWith = (test: (input: DescMessage, output: DescMessage) => boolean) =>
    services.flatMap(({ methods }) => methods.filter(({ input, output }) => test(input, output)).map(({ name }) => name));

  it('are all documented: each RPC that answers tokens or a key', () => {
    const answering = rpcsWith((_, output) => hasField(output, (name, message) => message === 'identity.v1.Tokens' || name === 'key'));
    expect(answering).toEqual(expect.arrayContaining(['CreateApiKey', 'Login', 'RefreshToken']));
    expect(named).toEqual(expect.arrayContaining(answering));
  });

  it('are documented with all that takes a secret of a user', () => {
    const secret = /^(password|current_password|code|\w+_token)$/;
    // An access token is looked at, a page or device token lets nobody in.
    const taking = rpcsWith((input) => hasField(input, (name) => secret.test(name) && !/^(access|page|device)_token$/.test(name)));
    expect(taking).toEqual(expect.arrayContaining(['ChangePassword', 'Login', 'LoginWithCode', 'ResetPassword', 'Reauthenticate']));
    const others = ['CreateUser', 'Register', 'Logout'];
    expect(named).toEqual(expect.arrayContaining(taking.filter((name) => !others.includes(name))));
  });
});

it('no message has a hint of a password, or a secret question (ASVS 6.4.2)', () => {
  const messages = [...REGISTRY].filter((type) => type.kind === 'message' && type.file.proto.package === 'identity.v1');
  const names = messages.flatMap((type) => (type.kind === 'message' ? type.fields.map(({ name }) => `${type.name}.${name}`) : []));
  expect(names).toContain('User.email');
  // A hint of an API key is its beginning, by which its owner knows it from others.
  expect(names.filter((name) => /hint|question|maiden|reminder/i.test(name))).toEqual(['ApiKey.hint']);
});
