/**
 * A process of the server may outlive its connection: a network that is cut tells neither side. Until the server notices, the process keeps its
 * locks, and every call that waits for them leaves one more, until no connection is left for anybody. So the server is told to end what
 * nobody waits for any more, soon after this side has given it up.
 */
const AFTER_GIVEN_UP_MS = 100;
/** No unit of work waits for anything but the database; one that is silent for so long is of a process that is gone or stands still. */
const IDLE_IN_TRANSACTION_MS = 5000;

/** The statements of the service rely on these, whatever the defaults of the database or the role are. */
const EXPECTED = {
  DateStyle: 'ISO,MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '1',
  standard_conforming_strings: 'on',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
  // Seconds until the server notices a client that has vanished without a word, while it waits for the client.
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
};

/**
 * The run-time parameters with which a connection opens, as the `options` of PostgreSQL's startup message; `queryMs` is the time after which
 * this side gives a query up, and absent where it never does.
 */
export function sessionOptions(queryMs: number | undefined): string {
  const bounds = queryMs === undefined ? {} : boundsOf(queryMs);
  return Object.entries({ ...EXPECTED, ...bounds })
    .map(([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`)
    .join(' ');
}

function boundsOf(queryMs: number): Record<string, string> {
  return {
    statement_timeout: String(queryMs + AFTER_GIVEN_UP_MS),
    idle_in_transaction_session_timeout: String(IDLE_IN_TRANSACTION_MS),
  };
}
