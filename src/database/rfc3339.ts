/** SQL for a moment as RFC 3339 text, to the millisecond and in UTC, as JavaScript writes it. */
export function rfc3339(column: string): string {
  return `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as ${column}`;
}
