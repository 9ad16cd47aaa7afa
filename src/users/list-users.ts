import { z } from 'zod';
import { actorOf, type Call } from '../call/call.ts';
import type { Cursor, PageTokens } from '../call/page-token.ts';
import { pageSize, pageToken } from '../call/paging.ts';
import { emptyAsAbsent, line } from '../call/validation.ts';
import { findUserPage } from './user-page.repository.ts';
import type { UserView } from './user-view.ts';

const ORDERS = { creation: 'desc', email: 'asc', username: 'asc', full_name: 'asc' } as const;

export interface ListOrder {
  readonly by: keyof typeof ORDERS;
  readonly direction: 'asc' | 'desc';
}

const ORDER_SYNTAX = new RegExp(`^(${Object.keys(ORDERS).join('|')})(?: +(asc|desc))?$`);

const order = z
  .string()
  .trim()
  .transform((value) => value || 'creation')
  .pipe(z.string().regex(ORDER_SYNTAX, `must be one of ${Object.keys(ORDERS).join(', ')}, each with an optional asc or desc`))
  .transform(toOrder);

function toOrder(value: string): ListOrder {
  const [by, direction] = value.split(/ +/) as [ListOrder['by'], ListOrder['direction'] | undefined];
  return { by, direction: direction ?? ORDERS[by] };
}

const filter = z.object({
  query: emptyAsAbsent(line(200)),
  role: emptyAsAbsent(line(100)),
  active: z.boolean().optional(),
  emailVerified: z.boolean().optional(),
  locked: z.boolean().optional(),
});

export type UserFilter = z.output<typeof filter>;

export const listUsersInput = z.object({
  pageSize,
  pageToken,
  filter: filter.optional(),
  orderBy: order,
});

export interface ListUsersDeps {
  readonly pageTokens: PageTokens;
}

export interface UserPage {
  readonly users: UserView[];
  readonly nextPageToken: string;
}

/** One page; one row more than asked for tells whether there is another. */
export async function listUsers(call: Call, { pageTokens }: ListUsersDeps, input: z.output<typeof listUsersInput>): Promise<UserPage> {
  const { pageSize: size, pageToken: token, filter = {}, orderBy } = input;
  const scope = ['ListUsers', actorOf(call), filter, orderBy];
  const after = token === '' ? undefined : pageTokens.open(token, scope);
  const found = await findUserPage(call.em, { filter, order: orderBy, after, limit: size + 1, now: call.now() });
  const page = found.slice(0, size);
  const last = page.at(-1);
  const next: Cursor | undefined = last && found.length > size ? [last.sortKey, last.user.id] : undefined;
  return { users: page.map(({ user }) => user), nextPageToken: next ? pageTokens.seal(next, scope) : '' };
}
