import { once } from 'node:events';
import { createApp } from '../../app/app.ts';
import { loadConfig } from '../../config.ts';
import { explain } from '../explain-start-error.ts';
import type { Ending, Environment } from '../lifecycle.ts';
import { PrimaryChannel } from './primary-channel.ts';

/** Serves until the primary says that it is enough, is gone, or a signal comes; the exit code. The primary tells why it could not begin. */
export async function runWorker({ signal, begin }: Ending, env: Environment): Promise<number> {
  const primary = new PrimaryChannel(begin);
  try {
    await serve(primary, signal, env);
    return 0;
  } catch (error) {
    if (signal.aborted) return 0;
    await primary.tell({ kind: 'failed', reason: explain(error) });
    return 1;
  }
}

async function serve(primary: PrimaryChannel, end: AbortSignal, env: Environment): Promise<void> {
  const order = await Promise.race([primary.start(), aborted(end)]);
  if (!order) return;
  const { databaseUrl, secretKey, number } = order;
  await using begun = new AsyncDisposableStack();
  const app = await createApp(loadConfig(env), { databaseUrl, secretKey, team: primary.team(number) });
  begun.defer(() => app.close());
  await primary.tell({ kind: 'listening', port: app.port });
  await aborted(end);
}

async function aborted(end: AbortSignal): Promise<undefined> {
  if (!end.aborted) await once(end, 'abort');
}
