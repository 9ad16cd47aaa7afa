import { z } from 'zod';
import type { Call } from '../rpc/call.ts';
import type { Cursor, PageTokens } from '../rpc/page-token.ts';
import { emptyAsAbsent, line } from '../rpc/validation.ts';
import type { User } from './user.entity.ts';
import { listUsers as listPage } from './user.repository.ts';

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 1000;

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
  pageSize: z
    .number()
    .min(0, 'must not be negative')
    .transform((size) => Math.min(size || DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)),
  pageToken: z.string().max(4096, 'is not a page token'),
  filter: filter.optional(),
  orderBy: order,
});

export interface ListUsersDeps {
  readonly pageTokens: PageTokens;
}

export interface UserPage {
  readonly users: User[];
  readonly nextPageToken: string;
}

/** One page; one row more than asked for tells whether there is another. */
export async function listUsers(call: Call, { pageTokens }: ListUsersDeps, input: z.output<typeof listUsersInput>): Promise<UserPage> {
  const { pageSize, pageToken, filter = {}, orderBy } = input;
  const scope = ['ListUsers', filter, orderBy];
  const after = pageToken === '' ? undefined : pageTokens.open(pageToken, scope);
  const rows = await listPage(call.em, { filter, order: orderBy, after, limit: pageSize + 1, now: call.now() });
  const users = rows.slice(0, pageSize);
  const last = users.at(-1);
  return { users, nextPageToken: last && rows.length > pageSize ? pageTokens.seal(cursorOf(last, orderBy), scope) : '' };
}

function cursorOf(user: User, { by }: ListOrder): Cursor {
  switch (by) {
    case 'creation':
      return [user.createdAt.toISOString(), user.id];
    case 'email':
      return [user.email, user.id];
    case 'username':
      return [user.username ?? '', user.id];
    case 'full_name':
      return [user.profile.fullName, user.id];
  }
}
