import { ConfigError } from '../config.ts';
import { DatabaseUnusableError } from '../database/require-database.ts';
import { SchemaBehindError } from '../database/schema-behind.ts';
import { ListenError } from '../rpc/listen-error.ts';
import { WorkerStartError } from './cluster/worker-start-error.ts';

/** Their messages are for operators. */
const SPOKEN = [ConfigError, DatabaseUnusableError, SchemaBehindError, ListenError, WorkerStartError];

/** Why a start has failed. What an operator can act on gets a sentence; anything else is a defect and gets its stack. */
export function explain(error: unknown): string {
  if (error instanceof SuppressedError) return `${explain(error.suppressed)}\n${explain(error.error)}`;
  if (SPOKEN.some((kind) => error instanceof kind)) return (error as Error).message;
  if (!(error instanceof Error)) return String(error);
  const code = (error as NodeJS.ErrnoException).code ?? (error.cause as NodeJS.ErrnoException | undefined)?.code;
  return code === undefined ? (error.stack ?? error.message) : error.message;
}
