import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const FOLDER = fileURLToPath(new URL('../peer', import.meta.url));
const LOCK = join(FOLDER, 'package-lock.json');
/** A copy of the lock that was installed. */
const INSTALLED = join(FOLDER, 'node_modules/.installed-lock.json');
const PATIENCE_MS = 120_000;

const run = promisify(execFile);

/** Installs the peer into its own folder, once; returns why that is not possible. */
export async function installPeer(report: (what: string) => void): Promise<string | undefined> {
  const lock = await readFile(LOCK, 'utf8');
  if ((await readFile(INSTALLED, 'utf8').catch(() => '')) === lock) return undefined;
  report('npm ci');
  try {
    // npm is a script on Windows, which only a shell can start.
    await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: FOLDER, timeout: PATIENCE_MS, shell: process.platform === 'win32' });
    await writeFile(INSTALLED, lock);
    return undefined;
  } catch (error) {
    const output = (error as { stderr?: string }).stderr ?? '';
    return output.split('\n').find((line) => line.startsWith('npm error')) ?? String(error);
  }
}
