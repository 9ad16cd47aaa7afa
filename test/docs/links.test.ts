import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** Installed, or made by a run. */
const NOT_OURS = /^(node_modules|coverage|\.data|\.git)$|^bench\/results$|\/node_modules$/;

const FILES = globSync('**/*', { cwd: ROOT, exclude: (name) => NOT_OURS.test(slashed(name)) }).map(slashed);
const DOCUMENTS = FILES.filter((name) => name.endsWith('.md'));

/** Files that it names may be gone by now: it tells what was. */
const HISTORY = 'CHANGELOG.md';

function slashed(name: string): string {
  return name.split(path.sep).join('/');
}

const read = (document: string) => readFileSync(path.join(ROOT, document), 'utf8');

/** Without blocks of code. */
const proseOf = (text: string) => text.replace(/^ *```[\s\S]*?^ *```$/gm, '');

/** The places that a reader can be led to, as GitHub names them. */
function anchorsOf(text: string): string[] {
  const headings = [...proseOf(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** The links of a document that lead nowhere; those to other places are not followed. */
function brokenLinks(document: string, text: string): string[] {
  const targets = [
    ...proseOf(text)
      .replace(/`[^`\n]*`/g, '')
      .matchAll(/\]\(([^)\s]+)\)/g),
  ].map(([, target = '']) => target);
  return targets.filter((target) => {
    if (/^[a-z]+:/.test(target)) return false;
    const [file = '', anchor] = target.split('#');
    const name = file === '' ? document : path.posix.join(path.posix.dirname(document), decodeURIComponent(file));
    if (name.startsWith('..') || !existsSync(path.join(ROOT, name))) return true;
    return anchor !== undefined && !anchorsOf(name === document ? text : read(name)).includes(anchor);
  });
}

/** The files in backticks that are not there. One without a folder, or without all of its folders, may be anywhere. */
function missingFiles(text: string): string[] {
  const named = [...proseOf(text).matchAll(/`([^`\s]+)`/g)].map(([, name = '']) => name.replace(/\/$/, ''));
  const paths = named.filter((name) => /^(src|test)\/[\w./-]+$|^[\w./-]+[\w-]\.(ts|proto|sql)$/.test(name));
  return paths.filter((name) => !FILES.some((file) => file === name || file.endsWith(`/${name}`)));
}

describe('a document', () => {
  it.each(DOCUMENTS)('has no link that leads nowhere: %s', (document) => {
    expect(brokenLinks(document, read(document))).toEqual([]);
  });

  it.each(DOCUMENTS.filter((name) => name !== HISTORY))('names no file that is not there: %s', (document) => {
    expect(missingFiles(read(document))).toEqual([]);
  });
});

describe('the test itself', () => {
  it('has seen the documents', () => {
    expect(DOCUMENTS).toEqual(expect.arrayContaining(['README.md', 'CONTRIBUTING.md', 'docs/architecture.md', 'bench/README.md']));
    expect(DOCUMENTS.filter((name) => name.includes('node_modules'))).toEqual([]);
  });

  it.each(['[a](src/nowhere.ts)', '[a](docs)[b](README.md#nowhere)', '[a](#nowhere)', '![a](../outside.png)'])(
    'would not let %s pass',
    (text) => {
      expect(brokenLinks('README.md', text)).toHaveLength(1);
    },
  );

  it.each(['[a](https://example.com/x.md)', '[a](docs/adr)', '`[a](nowhere.md)`', '[a](#here)\n# Here'])('lets %s pass', (text) => {
    expect(brokenLinks('README.md', text)).toEqual([]);
  });

  it.each(['`src/nowhere`', '`test/nowhere/`', '`nowhere.ts`', '`users/nowhere.proto`'])('would not let %s pass', (text) => {
    expect(missingFiles(text)).toHaveLength(1);
  });

  it.each(['`src/users/`', '`users/get-user.ts`', '`unary.ts`', '`src/<room>/<rpc>.ts`', '`*-settings.ts`'])('lets %s pass', (text) => {
    expect(missingFiles(text)).toEqual([]);
  });
});
