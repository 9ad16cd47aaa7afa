import { StartError } from '../settings/start-error.ts';

/** Says why a start has failed: a sentence where an operator can mend it; anything else is a defect, with its stack. */
export function explain(error: unknown): string {
  if (error instanceof SuppressedError) return `${explain(error.suppressed)}\n${explain(error.error)}`;
  if (error instanceof StartError) return error.message;
  if (!(error instanceof Error)) return String(error);
  const code = (error as NodeJS.ErrnoException).code ?? (error.cause as NodeJS.ErrnoException | undefined)?.code;
  return code === undefined ? (error.stack ?? error.message) : error.message;
}
