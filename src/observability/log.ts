import { type Logger, pino } from 'pino';
import type { ObservabilitySettings } from './observability-settings.ts';
import type { SpanIds } from './tracing/trace-parent.ts';

/** A failure as the log shows it: an IdentityError, of which this room knows no more. */
export interface LoggedFailure {
  /** The name of a status code of gRPC. */
  readonly code: string;
  readonly reason: string;
  readonly cause?: unknown;
}

export interface FailedCall {
  readonly rpc: string;
  readonly requestId: string;
  /** The caller's span; asked for only where a line is written. */
  readonly parent: () => SpanIds | undefined;
}

/** The log tells of calls. It holds nothing that a caller sent: no request, no response, no message of the driver. */
export interface Log {
  failedCall(error: LoggedFailure, call: FailedCall): void;
  info(message: string, fields?: object): void;
  warn(message: string, fields?: object): void;
}

/** Somebody has to look at these; everything else is the caller's business. */
const LEVELS: Readonly<Record<string, 'error' | 'warn'>> = { INTERNAL: 'error', UNAVAILABLE: 'warn' };

/** Names under which a secret could reach a log line by mistake. */
const SECRETS = ['password', 'current_password', 'new_password', 'token', 'refresh_token', 'access_token', 'authorization'];

interface LogOptions {
  /** The one of several processes that writes. */
  readonly worker?: number | undefined;
  /** The span that lines are written within. */
  readonly current?: () => SpanIds | undefined;
}

export function createLog(level: ObservabilitySettings['logLevel'], { worker, current = () => undefined }: LogOptions = {}): Log {
  const logger = pino({
    level,
    base: worker === undefined ? null : { worker },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
  });
  return {
    failedCall: (error, call) => logFailure(logger, error, call, current),
    info: (message, fields = {}) => logger.info({ ...fields, ...named(current()) }, message),
    warn: (message, fields = {}) => logger.warn({ ...fields, ...named(current()) }, message),
  };
}

function logFailure(
  logger: Logger,
  error: LoggedFailure,
  { rpc, requestId, parent }: FailedCall,
  current: () => SpanIds | undefined,
): void {
  const level = LEVELS[error.code] ?? 'debug';
  if (!logger.isLevelEnabled(level)) return;
  const fields = { rpc, requestId, ...named(current() ?? parent()), code: error.code, reason: error.reason };
  logger[level](level === 'debug' ? fields : { ...fields, cause: describe(error.cause) }, 'call failed');
}

/** As OpenTelemetry names them in logs. */
function named(span: SpanIds | undefined): object {
  return span ? { trace_id: span.traceId, span_id: span.spanId } : {};
}

/**
 * The facts about an unexpected error that may be known. Its message is left out: the ORM and the driver quote emails
 * and where-values in it. The stack and, of the database, SQLSTATE and constraint are enough to find the defect.
 */
function describe(cause: unknown): object {
  if (!(cause instanceof Error)) return { type: typeof cause };
  const { code, constraint, table } = cause as { code?: unknown; constraint?: unknown; table?: unknown };
  const frames = cause.stack?.split('\n').filter((stackLine) => /^\s+at /.test(stackLine)) ?? [];
  return { type: cause.name, code, constraint, table, stack: frames.slice(0, 12).map((frame) => frame.trim()) };
}
