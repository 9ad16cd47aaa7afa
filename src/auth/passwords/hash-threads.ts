import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';

/** Where Linux shows the threads of this process. */
const THREADS = '/proc/self/task';

/**
 * Gives the threads of Node's pool (libuv's, UV_THREADPOOL_SIZE) the lowest priority, as soon as they are there: whatever else they do,
 * which is little (names of hosts, files), is no more urgent than a hash. To Linux a thread is what elsewhere is a process, and has a
 * priority of its own; elsewhere it stays as it is.
 */
export function lowerPriorityOfPool(): void {
  if (process.platform !== 'linux') return;
  // The first task, of whatever kind, starts all of them.
  randomBytes(1, () => {
    for (const thread of poolThreads()) setPriority(thread, constants.priority.PRIORITY_LOW);
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
