import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '..');
const LAUNCHER = path.join(ROOT, 'bin/identity');
const FLAGS = ['--max-semi-space-size=4', '--heap-growing-percent=40', '--no-parallel-scavenge'];

const run = promisify(execFile);
const read = (file: string) => readFile(path.join(ROOT, file), 'utf8');

describe.skipIf(process.platform === 'win32')('bin/identity', () => {
  let folder: string;
  let checkout: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'identity-launcher-'));
    // A Node that tells how it was started, and a checkout with a space in its name.
    await writeFile(path.join(folder, 'node'), '#!/bin/sh\nprintf "%s\\n" $$ "$PWD" "$NODE_COMPILE_CACHE" "$MALLOC_ARENA_MAX" "$@"\n');
    await chmod(path.join(folder, 'node'), 0o755);
    checkout = path.join(folder, 'a checkout');
    await mkdir(path.join(checkout, 'bin'), { recursive: true });
    await symlink(LAUNCHER, path.join(checkout, 'bin/identity'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function start({ file = LAUNCHER, args = [] as string[], env = {} } = {}) {
    const started = run(file, args, { cwd: folder, env: { PATH: `${folder}:${process.env.PATH}`, ...env } });
    const { stdout } = await started;
    const [pid, cwd, compileCache, arenas, ...command] = stdout.trimEnd().split('\n');
    return { isNode: pid === String(started.child.pid), cwd, compileCache, arenas, command };
  }

  it('becomes Node, with the settings for V8 and the C library, in the folder in which it was started', async () => {
    expect(await start()).toEqual({
      isNode: true,
      cwd: folder,
      compileCache: path.join(ROOT, 'node_modules/.cache/identity'),
      arenas: '1',
      command: [...FLAGS, path.join(ROOT, 'src/main.ts')],
    });
  });

  it('finds the sources beside itself, whatever the name of the folder', async () => {
    const { compileCache, command } = await start({ file: path.join(checkout, 'bin/identity') });
    expect(command.at(-1)).toBe(path.join(checkout, 'src/main.ts'));
    expect(compileCache).toBe(path.join(checkout, 'node_modules/.cache/identity'));
  });

  it('keeps what is set already', async () => {
    const set = await start({ env: { NODE_COMPILE_CACHE: '/somewhere/else', MALLOC_ARENA_MAX: '2' } });
    expect(set).toMatchObject({ compileCache: '/somewhere/else', arenas: '2' });
  });

  it('starts another program when it is told its name', async () => {
    const { command } = await start({ args: ['commands/healthcheck'] });
    expect(command.at(-1)).toBe(path.join(ROOT, 'src/commands/healthcheck.ts'));
  });

  it('is given flags that this Node knows', async () => {
    // It ends with an error over others.
    await run(process.execPath, [...FLAGS, '--eval', '']);
  });
});

describe('the service', () => {
  it('is started by bin/identity everywhere', async () => {
    const { scripts } = JSON.parse(await read('package.json')) as { scripts: Record<string, string> };
    expect(scripts.start).toBe('exec sh bin/identity');
    const dockerfile = await read('Dockerfile');
    expect(dockerfile).toMatch(/^CMD \["bin\/identity"\]$/m);
    expect(dockerfile).toMatch(/^ {4}bin\/identity 2>&1 \| grep/m);
    expect(await read('bench/bench.ts')).toContain("'../bin/identity'");
  });

  it('has its settings for V8 and the C library nowhere else', async () => {
    const files = ['package.json', 'Dockerfile', ...(await sourcesOf('src')), ...(await sourcesOf('bench'))];
    const texts = await Promise.all(files.map(async (file) => ({ file, text: await read(file) })));
    const settings = [...FLAGS.map((flag) => flag.split('=')[0] as string), 'MALLOC_ARENA_MAX'];
    expect(texts.filter(({ text }) => settings.some((setting) => text.includes(setting))).map(({ file }) => file)).toEqual([]);
  });
});

async function sourcesOf(folder: string): Promise<string[]> {
  const files = await readdir(path.join(ROOT, folder), { recursive: true });
  return files.filter((file) => file.endsWith('.ts') && !file.includes('node_modules')).map((file) => path.join(folder, file));
}
