import { type Logger, pino } from 'pino';
import type { IdentityError } from '../errors.ts';

/** What is logged about calls. Nothing a caller sent is: no request, no response, no message of the driver. */
export interface Log {
  failedCall(error: IdentityError, call: { readonly rpc: string; readonly requestId: string }): void;
  info(message: string, fields?: object): void;
  warn(message: string, fields?: object): void;
}

/** Names under which a secret could reach a log line by mistake. */
const SECRETS = ['password', 'current_password', 'new_password', 'token', 'refresh_token', 'access_token', 'authorization'];

/** `worker`: which of several processes says it. */
export function createLog(level: string, worker?: number): Log {
  const logger = pino({
    level,
    base: worker === undefined ? null : { worker },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
  });
  return {
    failedCall: (error, call) => logFailure(logger, error, call),
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
  };
}

function logFailure(logger: Logger, error: IdentityError, call: { rpc: string; requestId: string }): void {
  const fields = { ...call, code: error.code, reason: error.reason };
  if (error.code === 'INTERNAL') logger.error({ ...fields, cause: describe(error.cause) }, 'call failed');
  else if (error.code === 'UNAVAILABLE') logger.warn({ ...fields, cause: describe(error.cause) }, 'call failed');
  else logger.debug(fields, 'call failed');
}

/**
 * What may be known about an unexpected error. Its message is left out: the ORM and the driver quote emails and where-values in it.
 * Where it came from and, of the database, the SQLSTATE and the constraint are enough to find the defect.
 */
function describe(cause: unknown): object {
  if (!(cause instanceof Error)) return { type: typeof cause };
  const { code, constraint, table } = cause as { code?: unknown; constraint?: unknown; table?: unknown };
  const frames = cause.stack?.split('\n').filter((stackLine) => /^\s+at /.test(stackLine)) ?? [];
  return { type: cause.name, code, constraint, table, stack: frames.slice(0, 12).map((frame) => frame.trim()) };
}
