import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { transaction } from '../database/transaction.ts';
import { countUsers, type ExportedUser, findUsersToExport } from './export.repository.ts';

const PAGE = 1000;

export interface ExportPage {
  readonly users: readonly ExportedUser[];
  /** Of all users, as they were at the beginning. */
  readonly total: number;
}

/** All users as an import takes them, page by page. That somebody has taken them away is written down first. */
export async function* exportAllUsers(call: Call): AsyncGenerator<ExportPage, void> {
  const total = await transaction(call.em, async (em) => {
    const count = await countUsers(em);
    record(em, call, { type: 'user.exported', metadata: { users: String(count) } });
    return count;
  });
  let after: string | undefined;
  for (;;) {
    const page = await findUsersToExport(call.em, after, PAGE);
    yield { users: page.map(({ user }) => user), total };
    after = page.at(-1)?.id;
    if (page.length < PAGE) return;
  }
}
