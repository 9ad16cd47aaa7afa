import type { FirstKey } from '../../access/first-key.ts';
import type { Connection } from '../../app/resources.ts';
import type { Config } from '../../config.ts';
import { createLog } from '../../observability/log.ts';
import { serveMetrics } from '../../observability/metrics/metrics-server.ts';
import type { Started } from '../lifecycle.ts';
import { MetricsOfAll } from './metrics-of-all.ts';
import { Workers } from './workers.ts';

/**
 * Lets workers serve. The things that there are only one of are here: the port, the metrics, and (run.ts) the embedded
 * database.
 */
export async function startPrimary(
  begun: AsyncDisposableStack,
  config: Config,
  { databaseUrl, secretKey }: Connection,
  dataDir: string | undefined,
): Promise<Started> {
  const workers = new Workers({ databaseUrl, secretKey }, createLog(config.logLevel), (worker) => metrics.keep(worker));
  const metrics = new MetricsOfAll(workers.running);
  // Ends after the workers: they can be watched while they drain.
  if (config.metricsPort !== undefined) {
    begun.adopt(await serveMetrics(metrics, config.grpc.host, config.metricsPort), (it) => it.close());
  }
  begun.adopt(workers, (it) => it.end());
  const port = await workers.start(config.workers);
  const firstKey = dataDir === undefined ? undefined : await firstKeyOf(databaseUrl, dataDir);
  return { port, firstKey, failure: workers.failure };
}

async function firstKeyOf(databaseUrl: string, dataDir: string): Promise<FirstKey> {
  const { openServiceOrm } = await import('../../app/orm.ts');
  const { ensureFirstKey } = await import('../../access/first-key.ts');
  const orm = await openServiceOrm({ url: databaseUrl });
  try {
    return await ensureFirstKey(orm.em, dataDir);
  } finally {
    await orm.close();
  }
}
