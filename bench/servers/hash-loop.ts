import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { readStoredHash, type SchemeSettings } from '../../src/auth/passwords/password-scheme.ts';

/** How many password checks the machine can do: the service's own function in a loop, on a thread for each core. */
export interface HashWork {
  readonly password: string;
  readonly stored: string;
  readonly settings: SchemeSettings;
}

export interface HashRun {
  readonly work: HashWork;
  readonly seconds: number;
}

export interface HashCount {
  readonly perSecond: number;
}

/** Of one thread. */
interface Checked {
  readonly hashes: number;
  readonly seconds: number;
}

if (isMainThread) {
  process.on('message', (run: HashRun) => void count(run).then((counted) => process.send?.(counted)));
  process.on('disconnect', () => process.exit(1));
} else void loop(workerData as HashRun).then((counted) => parentPort?.postMessage(counted));

/** Until the last one is done, as requests are counted. */
async function count(run: HashRun): Promise<HashCount> {
  const counts = await Promise.all(Array.from({ length: availableParallelism() }, () => inThread(run)));
  const hashes = counts.reduce((sum, each) => sum + each.hashes, 0);
  return { perSecond: hashes / Math.max(...counts.map(({ seconds }) => seconds)) };
}

function inThread(run: HashRun): Promise<Checked> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL(import.meta.url), { workerData: run });
    thread.once('message', resolve);
    thread.once('error', reject);
  });
}

async function loop({ work, seconds }: HashRun): Promise<Checked> {
  const begun = performance.now();
  const elapsed = () => (performance.now() - begun) / 1000;
  const stored = readStoredHash(work.stored, work.settings);
  let hashes = 0;
  for (; elapsed() < seconds; hashes++) {
    if (!(await stored.verify(work.password)).matches) throw new Error('the password does not match');
  }
  return { hashes, seconds: elapsed() };
}
