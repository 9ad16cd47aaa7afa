import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FILES, OWN_FILES } from './elements.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const PROTO = path.join(ROOT, 'proto');
const BUF = path.join(ROOT, 'node_modules/@bufbuild/buf/bin/buf');
const COPIED_FROM = path.join(ROOT, 'node_modules/google-proto-files');

const PROTOS = globSync('**/*.proto', { cwd: PROTO }).map((name) => name.split(path.sep).join('/'));

/** The options without which the code of a language would land in a place that nobody can import. */
const OPTIONS = {
  csharp_namespace: 'Identity.V1',
  go_package: 'github.com/identity/identity/gen/go/identity/v1;identityv1',
  java_multiple_files: true,
  java_package: 'com.identity.v1',
};

/** Imports that are neither in proto/ nor come with every compiler. */
function strangers(imports: readonly string[]): string[] {
  return imports.filter((name) => !name.startsWith('google/protobuf/') && !PROTOS.includes(name));
}

describe('proto/', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'identity-proto-'));
  const buf = (...args: string[]) => execFileSync(process.execPath, [BUF, ...args], { cwd: folder, encoding: 'utf8' });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('builds by itself, wherever it is', () => {
    cpSync(PROTO, folder, { recursive: true });
    expect(buf('ls-files', '--format', 'import').trim().split('\n').sort()).toEqual([...PROTOS].sort());
    buf('build', '--output', path.join(folder, 'image.binpb'));
    expect(statSync(path.join(folder, 'image.binpb')).size).toBeGreaterThan(10_000);
  });

  it('is a module with a name', () => {
    expect(readFileSync(path.join(PROTO, 'buf.yaml'), 'utf8')).toMatch(/^name: [\w.]+\/\w+\/\w+$/m);
  });

  it.each(PROTOS)('%s imports nothing that is not there', (name) => {
    const text = readFileSync(path.join(PROTO, name), 'utf8');
    const imports = [...text.matchAll(/^import (?:public |weak )?"(.+)";$/gm)].map(([, from = '']) => from);
    expect(strangers(imports)).toEqual([]);
  });

  it('would not do with an import that only this repository has', () => {
    expect(strangers(['google/protobuf/any.proto', 'google/type/date.proto', 'google/rpc/status.proto'])).toEqual([
      'google/rpc/status.proto',
    ]);
  });

  it.each(PROTOS.filter((name) => name.startsWith('google/')))('%s is the copy of a file of Google', (name) => {
    expect(readFileSync(path.join(PROTO, name), 'utf8')).toBe(readFileSync(path.join(COPIED_FROM, name), 'utf8'));
  });
});

describe('every file', () => {
  const files = OWN_FILES.map(({ name, options }) => [name, options] as const);

  it.each(files)('%s says where the code of other languages goes', (name, options) => {
    const { csharpNamespace, goPackage, javaMultipleFiles, javaPackage, javaOuterClassname } = options ?? {};
    expect({
      csharp_namespace: csharpNamespace,
      go_package: goPackage,
      java_multiple_files: javaMultipleFiles,
      java_package: javaPackage,
    }).toEqual(OPTIONS);
    expect(javaOuterClassname).toBe(outerClassOf(name));
  });

  it('is among those that are looked at', () => {
    expect(OWN_FILES.map(({ name }) => name).sort()).toEqual(PROTOS.filter((name) => name.startsWith('identity/')).sort());
    expect(FILES.length).toBeGreaterThan(OWN_FILES.length);
  });
});

/** `identity/v1/api_key.proto` → `ApiKeyProto` */
function outerClassOf(name: string): string {
  const words = path.posix.basename(name, '.proto').split('_');
  return `${words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')}Proto`;
}
