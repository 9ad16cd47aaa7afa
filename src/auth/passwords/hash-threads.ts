import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';

/** The folder in which Linux shows the threads of this process. */
const THREADS = '/proc/self/task';

/**
 * Gives the threads of Node's pool (libuv's, UV_THREADPOOL_SIZE) a lower priority, as soon as they are there. To Linux a thread is what
 * elsewhere is a process, and has a priority of its own; elsewhere it stays as it is.
 *
 * Not the lowest: the same threads prove the password of each new connection to PostgreSQL (SCRAM). On a machine that others keep busy
 * five of them took 35 to 70 ms at 0 or 10, and 150 to 500 ms at 19.
 */
export function lowerPriorityOfPool(): void {
  if (process.platform !== 'linux') return;
  // The first task, of whatever kind, starts all of them.
  randomBytes(1, () => {
    for (const thread of poolThreads()) setPriority(thread, constants.priority.PRIORITY_BELOW_NORMAL);
  });
}

/** Ids of the threads of Node's pool, once they were started. */
export function poolThreads(): number[] {
  return readdirSync(THREADS)
    .filter((thread) => nameOf(thread) === 'libuv-worker\n')
    .map(Number);
}

/** Those of the pool stay; others may be gone by now. */
function nameOf(thread: string): string | undefined {
  try {
    return readFileSync(`${THREADS}/${thread}/comm`, 'utf8');
  } catch {
    return undefined;
  }
}
