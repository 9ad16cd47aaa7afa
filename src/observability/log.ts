import { type Logger, pino } from 'pino';
import { BoundedLines } from './bounded-lines.ts';
import type { ObservabilitySettings } from './observability-settings.ts';
import type { SpanIds } from './tracing/trace-parent.ts';

/** A failure as the log shows it: an IdentityError, of which this room knows no more. */
export interface LoggedFailure {
  /** The name of a status code of gRPC. */
  readonly code: string;
  readonly reason: string;
  readonly cause?: unknown;
}

export interface LoggedCall {
  readonly rpc: string;
  readonly requestId: string;
  /** As the audit trail names them. */
  readonly caller: string;
  readonly milliseconds: number;
}

export interface FailedCall extends LoggedCall {
  /** The caller's span; asked for only where a line is written. */
  readonly parent: () => SpanIds | undefined;
}

/** The log tells of calls that fail and, where that is wanted, of all. It holds nothing that a caller sent: no request, no response, no message of the driver. */
export interface Log {
  failedCall(error: LoggedFailure, call: FailedCall): void;
  /** Absent: nobody wants to know of calls that succeed. */
  readonly servedCall?: ((call: LoggedCall) => void) | undefined;
  info(message: string, fields?: object): void;
  warn(message: string, fields?: object): void;
}

/** Somebody has to look at these; everything else is the caller's business, and told so that they can be helped. */
const LEVELS: Readonly<Record<string, 'error' | 'warn'>> = { INTERNAL: 'error', UNAVAILABLE: 'warn' };

/** In ten seconds, of failures with one reason. A fault of the database fails every call: one line says it. */
const MAX_LINES = 20;
const MAX_LINES_OF_A_FAULT = 1;

/** Names under which a secret could reach a log line by mistake. */
const SECRETS = ['password', 'current_password', 'new_password', 'token', 'refresh_token', 'access_token', 'authorization'];

interface LogOptions {
  /** The one of several processes that writes. */
  readonly worker?: number | undefined;
  /** The span that lines are written within. */
  readonly current?: () => SpanIds | undefined;
  /** Tells of calls that succeed as well. */
  readonly access?: boolean;
}

export function createLog(
  level: ObservabilitySettings['logLevel'],
  { worker, current = () => undefined, access = false }: LogOptions = {},
): Log {
  const logger = pino({
    level,
    base: worker === undefined ? null : { worker },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
  });
  const lines = new BoundedLines<`${string} ${string}`>((kind, leftOut) => {
    const [code = '', reason] = kind.split(' ');
    logger[levelOf(code)]({ code, reason, calls: leftOut }, 'more calls failed');
  });
  return {
    failedCall: (error, call) => logFailure(logger, error, call, { current, lines }),
    servedCall: access ? (call) => logger.info(fieldsOf(call), 'call served') : undefined,
    info: (message, fields = {}) => logger.info({ ...fields, ...named(current()) }, message),
    warn: (message, fields = {}) => logger.warn({ ...fields, ...named(current()) }, message),
  };
}

interface FailureLog {
  readonly current: () => SpanIds | undefined;
  readonly lines: BoundedLines<`${string} ${string}`>;
}

function logFailure(logger: Logger, { code, reason, cause }: LoggedFailure, call: FailedCall, { current, lines }: FailureLog): void {
  const level = levelOf(code);
  if (!logger.isLevelEnabled(level)) return;
  const max = code === 'UNAVAILABLE' ? MAX_LINES_OF_A_FAULT : MAX_LINES;
  // Those who want to see everything are looking for something.
  if (!logger.isLevelEnabled('debug') && !lines.admits(`${code} ${reason}`, max)) return;
  const fields = { ...fieldsOf(call), ...named(current() ?? call.parent()), code, reason };
  logger[level](level === 'info' ? fields : { ...fields, cause: describe(cause) }, 'call failed');
}

const levelOf = (code: string) => LEVELS[code] ?? 'info';

function fieldsOf({ rpc, requestId, caller, milliseconds }: LoggedCall): object {
  return { rpc, requestId, caller, ms: Math.round(milliseconds * 10) / 10 };
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
