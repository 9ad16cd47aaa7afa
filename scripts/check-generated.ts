import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Fails when src/gen is not what `npm run gen` makes of the protos. Leaves src/gen as it found it. */
const GENERATED = 'src/gen';

const before = mkdtempSync(path.join(tmpdir(), 'identity-gen-'));
try {
  cpSync(GENERATED, before, { recursive: true });
  execFileSync('npm', ['run', '--silent', 'gen'], { stdio: 'inherit', shell: process.platform === 'win32' });
  const stale = differences(before, GENERATED);
  rmSync(GENERATED, { recursive: true });
  cpSync(before, GENERATED, { recursive: true });
  if (stale.length > 0) {
    process.stderr.write(`The generated code is not in step with the protos: ${stale.join(', ')}\nRun: npm run gen\n`);
    process.exitCode = 1;
  }
} finally {
  rmSync(before, { recursive: true });
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
