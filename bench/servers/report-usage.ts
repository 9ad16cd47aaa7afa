import { isMainThread } from 'node:worker_threads';

/** What a process has used so far. */
export interface Usage {
  /** Processor time of all its threads, in microseconds. */
  readonly cpu: number;
  /** Bytes in memory. */
  readonly rss: number;
}

// Preloaded into every contestant (`--import`): answers the bench's question without the program knowing of it. Threads of the program
// load it as well, but have nobody to answer.
if (isMainThread && process.send) {
  process.on('message', (message) => {
    if (message === 'usage') process.send?.(usage());
  });
  // Whoever conducts is gone.
  process.on('disconnect', () => process.exit(1));
  // The question must not keep a process running that has nothing else to do.
  process.channel?.unref();
}

function usage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpu: user + system, rss: process.memoryUsage.rss() };
}
