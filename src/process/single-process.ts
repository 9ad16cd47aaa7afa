import { ensureFirstKey } from '../access/first-key.ts';
import { createApp } from '../app/app.ts';
import type { Connection } from '../app/resources.ts';
import type { Config } from '../config.ts';
import type { Started } from './lifecycle.ts';

/** Serves in this process. `dataDir`: the folder of the embedded database, where that is used. */
export async function startAlone(
  begun: AsyncDisposableStack,
  config: Config,
  connection: Connection,
  dataDir: string | undefined,
): Promise<Started> {
  const app = begun.adopt(await createApp(config, connection), (it) => it.close());
  return { port: app.port, firstKey: dataDir === undefined ? undefined : await ensureFirstKey(app.orm.em, dataDir) };
}
