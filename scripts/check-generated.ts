import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * Fails when src/gen is not what `npm run gen` makes of the protos. It generates in a folder that has everything of this one but src, so
 * that the compiler, which `npm run check` runs at the same time, finds src/gen whole.
 */
const GENERATED = 'src/gen';

const copy = mkdtempSync(path.join(tmpdir(), 'identity-gen-'));
try {
  for (const entry of readdirSync('.', { withFileTypes: true })) {
    const [from, to] = [path.resolve(entry.name), path.join(copy, entry.name)];
    if (entry.name === 'src' || entry.name.startsWith('.')) continue;
    if (entry.isFile()) copyFileSync(from, to);
    else symlinkSync(from, to, 'junction');
  }
  execFileSync('npm', ['run', '--silent', 'gen'], { cwd: copy, stdio: 'inherit', shell: process.platform === 'win32' });
  const stale = differences(path.join(copy, GENERATED), GENERATED);
  if (stale.length > 0) {
    process.stderr.write(`The generated code is not in step with the protos: ${stale.join(', ')}\nRun: npm run gen\n`);
    process.exitCode = 1;
  }
} finally {
  rmSync(copy, { recursive: true });
}

function differences(left: string, right: string): string[] {
  const names = new Set([...filesOf(left), ...filesOf(right)]);
  return [...names].filter((name) => contents(left, name) !== contents(right, name)).sort();
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)));
}

function contents(folder: string, name: string): string | undefined {
  try {
    return readFileSync(path.join(folder, name), 'latin1');
  } catch {
    return undefined;
  }
}
