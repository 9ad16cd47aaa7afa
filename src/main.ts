import { enableCompileCache } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Ending } from './process/lifecycle.ts';

/** The time in which the process must be gone after the first signal. */
const SHUTDOWN_MS = 9500;

/**
 * npm passes a signal on to its child although the terminal has sent it to the whole process group already. Only a later one is a
 * second wish.
 */
const SAME_SIGNAL_MS = 250;

// Before anything else is so much as loaded: until then a signal kills the process, or is nothing to it where it is a container's first.
const ending = endOnSignal();
// TypeScript is stripped and compiled once, not at every start: that takes 0.2 s and 50 MB. The result is not kept if
// the folder cannot be written. NODE_COMPILE_CACHE, which bin/identity sets, takes precedence: it is in force early
// enough for this very file, and then the stripper, which would stay in memory, is not so much as loaded.
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/identity', import.meta.url)));
// Node's pool has four threads. Hashes take one a core (hash-pool.ts), and must not hold up names of hosts and files, for which it is there.
process.env.UV_THREADPOOL_SIZE ??= String(availableParallelism() + 4);
const { run } = await import('./process/run.ts');

process.exit(await run(ending, process.env));

/** Begun by the first SIGTERM or SIGINT, for an end in order; a second one ends the process at once, and so does the lack of an end. */
function endOnSignal(): Ending {
  const end = new AbortController();
  let since: number | undefined;
  const begin = () => {
    if (since !== undefined) return;
    since = Date.now();
    setTimeout(giveUp, SHUTDOWN_MS);
    end.abort();
  };
  const onSignal = () => {
    if (since === undefined) begin();
    else if (Date.now() - since > SAME_SIGNAL_MS) process.exit(1);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return { signal: end.signal, begin };
}

/** The log says, where it is known, what the shutdown waited for. */
function giveUp(): never {
  process.stderr.write(`the service did not end within ${SHUTDOWN_MS / 1000} seconds\n`);
  process.exit(1);
}
