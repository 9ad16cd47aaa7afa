/** A failure of the database, as far as a caller needs to know of it. */
export type DatabaseFailure =
  | { readonly kind: 'unique' | 'check'; readonly constraint: string }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'unavailable' };

/** Fields of a pg DatabaseError or of Node's system errors; the ORM copies them onto its own exceptions. */
interface DriverError {
  readonly code?: unknown;
  readonly constraint?: unknown;
  readonly message?: unknown;
  readonly name?: unknown;
}

/** PostgreSQL, appendix A. */
const BY_SQLSTATE: Readonly<Record<string, 'conflict' | 'cancelled' | 'unavailable'>> = {
  '40001': 'conflict', // serialization_failure
  '40P01': 'conflict', // deadlock_detected
  '55P03': 'conflict', // lock_not_available
  '57014': 'cancelled', // query_canceled
  '57P01': 'unavailable', // admin_shutdown
  '57P02': 'unavailable', // crash_shutdown
  '57P03': 'unavailable', // cannot_connect_now
  '57P05': 'unavailable', // idle_session_timeout
  '53100': 'unavailable', // disk_full
  '53200': 'unavailable', // out_of_memory
  '53300': 'unavailable', // too_many_connections
  '28000': 'unavailable', // invalid_authorization_specification
  '28P01': 'unavailable', // invalid_password: it was changed in the database, and not yet here
  '25P03': 'unavailable', // idle_in_transaction_session_timeout
  '25P04': 'unavailable', // transaction_timeout
  '08000': 'unavailable', // connection_exception
  '08001': 'unavailable',
  '08003': 'unavailable',
  '08004': 'unavailable',
  '08006': 'unavailable', // connection_failure
  '08P01': 'unavailable', // protocol_violation: the other end is no PostgreSQL that we can talk to
  '25006': 'unavailable', // read_only_sql_transaction: we are connected to a standby
};

/** Node's system errors on a socket to the database. */
const CONNECTION_ERRORS = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'ENOENT',
]);

/** `pg` has no codes for these. */
const CONNECTION_MESSAGES =
  /^(Connection terminated|timeout exceeded when trying to connect|timeout expired|Query read timeout|Client has encountered a connection error|Client was closed|Cannot use a pool after calling end|write EPIPE|This socket has been ended)/;

/** Classifies an error of the driver, the pool or the ORM; undefined for anything else. */
export function databaseFailure(error: unknown): DatabaseFailure | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, constraint, message, name } = error as DriverError;
  if (code === '23505' && typeof constraint === 'string') return { kind: 'unique', constraint };
  if (code === '23514' && typeof constraint === 'string') return { kind: 'check', constraint };
  if (name === 'OptimisticLockError') return { kind: 'conflict' };
  if (typeof code === 'string' && BY_SQLSTATE[code]) return { kind: BY_SQLSTATE[code] };
  if (typeof code === 'string' && CONNECTION_ERRORS.has(code)) return { kind: 'unavailable' };
  if (typeof message === 'string' && CONNECTION_MESSAGES.test(message)) return { kind: 'unavailable' };
  return undefined;
}
