import type { TestService } from './service.ts';

type Row = Record<string, unknown>;

/** Looks behind the API. */
export async function rows<T extends Row = Row>(
  { database }: Pick<TestService, 'database'>,
  sql: string,
  values: unknown[] = [],
): Promise<T[]> {
  return (await database.pool.query<T>(sql, values)).rows;
}

/** The columns of the user that the API does not show. */
export async function bookkeeping(service: TestService, userId: string): Promise<Row> {
  const [row] = await rows(service, 'select * from users where id = $1', [userId]);
  if (!row) throw new Error(`no user ${userId}`);
  return row;
}

/** The types of the audit events about a user, oldest first; but for the mail that everybody who registers is sent. */
export async function auditTrail(service: TestService, userId: string): Promise<string[]> {
  const sql = `select type from audit_events where user_id = $1 and type <> 'user.email_verification_requested' order by occurred_at, type`;
  return (await rows<{ type: string }>(service, sql, [userId])).map(({ type }) => type);
}

/** How many rows there are, of every kind that hangs on a user. */
export async function totals(service: TestService): Promise<Row> {
  const [counts] = await rows(
    service,
    `select (select count(*) from users) as users, (select count(*) from profiles) as profiles,
       (select count(*) from sessions) as sessions, (select count(*) from password_history) as password_history,
       (select count(*) from audit_events) as audit_events`,
  );
  return counts ?? {};
}

/** Makes PostgreSQL refuse every new row of a table while `run` runs. */
export async function whileInsertsFail(service: TestService, table: string, run: () => Promise<unknown>): Promise<void> {
  await rows(service, `alter table ${table} add constraint closed check (false) not valid`);
  try {
    await run();
  } finally {
    await rows(service, `alter table ${table} drop constraint closed`);
  }
}
