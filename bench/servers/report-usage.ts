import cluster, { type Worker } from 'node:cluster';
import { isMainThread } from 'node:worker_threads';

/** What a program has used so far: its process, and the workers that it has started. */
export interface Usage {
  /** Processor time of all threads, in microseconds. */
  readonly cpu: number;
  /** Bytes in memory. What several processes share is counted for each. */
  readonly rss: number;
}

// Preloaded into every contestant (`--import`), and so into its workers: answers the bench's question without the program knowing of it.
// Threads of the program load it as well, but have nobody to answer.
if (isMainThread && process.send) {
  process.on('message', async (message) => {
    if (message === 'usage') process.send?.(await usage());
  });
  // Whoever conducts is gone.
  process.on('disconnect', () => process.exit(1));
  // The question must not keep a process running that has nothing else to do. What a worker has to do comes over its channel.
  if (cluster.isPrimary) process.channel?.unref();
}

async function usage(): Promise<Usage> {
  const ofWorkers = await Promise.all(Object.values(cluster.workers ?? {}).map((worker) => ask(worker as Worker)));
  const { user, system } = process.cpuUsage();
  const own = { cpu: user + system, rss: process.memoryUsage.rss() };
  return ofWorkers.reduce((sum, { cpu, rss }) => ({ cpu: sum.cpu + cpu, rss: sum.rss + rss }), own);
}

/** Workers tell their program other things, too. */
function ask(worker: Worker): Promise<Usage> {
  return new Promise((resolve) => {
    const onMessage = (message: unknown) => {
      if (typeof message !== 'object' || message === null || !('cpu' in message)) return;
      worker.off('message', onMessage);
      resolve(message as Usage);
    };
    worker.on('message', onMessage);
    worker.send('usage');
  });
}
