import { spawn } from 'node:child_process';
import { once } from 'node:events';
import packageJson from '../package.json' with { type: 'json' };

/** Runs all scripts `check:*` at the same time; each that fails writes what it has to say in one piece, when it ends. Fails when one does. */
const checks = Object.entries(packageJson.scripts).filter(([name]) => name.startsWith('check:'));

const codes = await Promise.all(checks.map(([name, command]) => check(name, command)));
process.exitCode = Math.max(...codes);

/** Without an npm of its own, which would take longer to start than some of the checks: the commands are found where npm finds them. */
async function check(name: string, command: string): Promise<number> {
  const begin = performance.now();
  const run = spawn(command, { shell: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  for (const stream of [run.stdout, run.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = (await once(run, 'close')) as [number | null];
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  process.stdout.write(code === 0 ? `${name} passes after ${seconds} s\n` : `${name} FAILS after ${seconds} s\n${Buffer.concat(chunks)}`);
  return code ?? 1;
}
