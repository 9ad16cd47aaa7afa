import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Runs all scripts `check:*` at the same time; each writes what it has to say in one piece, when it ends. Fails when one of them fails. */
const CHECKS = ['lint', 'types', 'proto', 'gen'];

const codes = await Promise.all(CHECKS.map(check));
process.exitCode = Math.max(...codes);

async function check(name: string): Promise<number> {
  const begin = performance.now();
  const run = spawn('npm', ['run', '--silent', `check:${name}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
  });
  const chunks: Buffer[] = [];
  for (const stream of [run.stdout, run.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = (await once(run, 'close')) as [number | null];
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  process.stdout.write(`check:${name} ${code === 0 ? 'passes' : 'FAILS'} after ${seconds} s\n${code === 0 ? '' : Buffer.concat(chunks)}`);
  return code ?? 1;
}
