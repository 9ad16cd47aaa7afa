import { hash } from 'node:crypto';
import type { ClientBase } from 'pg';
import { hashPassword } from '../../src/auth/passwords/password-scheme.ts';
import { searchTextOf } from '../../src/users/search-text.repository.ts';

export const PASSWORD = 'correct horse battery staple';

/** Every third user has a hash of this cost, so that services of each cost have users whose hash is up to date. */
export const COSTS = [4, 10, 12] as const;
export type Cost = (typeof COSTS)[number];

/** One user in a hundred has it. */
export const ROLE = 'auditor';
/** In the name of one user in a thousand. */
export const RARE_NAME = 'Lovelace';

/** A random-looking UUID (version 4) for number n, the same here and in SQL. */
export function idOf(kind: 'user' | 'session', n: number): string {
  const md5 = hash('md5', `${kind}-${n}`);
  const [a, b, c, d, e] = [md5.slice(0, 8), md5.slice(8, 12), md5.slice(13, 16), md5.slice(17, 20), md5.slice(20)];
  return `${a}-${b}-4${c}-8${d}-${e}`;
}

const sqlId = (kind: 'user' | 'session') => `overlay(overlay(md5('${kind}-' || n) placing '4' from 13) placing '8' from 17)::uuid`;

export const emailOf = (n: number) => `user-${n}@example.com`;

const PART_OF_TOKEN = 43;
const END_OF_TOKEN = `.${'x'.repeat(PART_OF_TOKEN)}.${'x'.repeat(22)}`;

/** The refresh token that session n begins with: as long as real ones, so that another one fits in its place. */
export const refreshTokenOf = (n: number) => `${`bench-${n}-`.padEnd(PART_OF_TOKEN, 'x')}${END_OF_TOKEN}`;

/** Of user n, in SQL. */
const NAMES = `lateral (
  select 'user-' || n || '@example.com' as email, 'user-' || n as username, case when n % 1000 = 0 then '${RARE_NAME} ' else 'No ' end || n as name
) names`;

/** User numbers go from 1. */
export const costOf = (n: number): Cost => COSTS[n % COSTS.length] as Cost;

/** Writes users straight into the tables, each with a profile and a session. */
export async function seed(db: ClientBase, users: number): Promise<void> {
  const hashes = await Promise.all(COSTS.map((bcryptCost) => hashPassword(PASSWORD, { scheme: 'bcrypt', bcryptCost, pepper: '' })));
  await db.query('begin');
  // The rows fit together: their triggers and foreign keys need not look.
  await db.query('set local session_replication_role = replica');
  await db.query(
    `insert into users (id, email, username, search_text, password_hash, email_verified_at, created_at)
     select ${sqlId('user')}, email, username, ${searchTextOf('email', 'username', `'User ' || name`)},
       ($2::text[])[1 + n % ${COSTS.length}], case when n % 2 = 0 then now() end, now() - n * interval '1 second'
     from generate_series(1, $1::int) n, ${NAMES}`,
    [users, hashes],
  );
  await db.query(
    `insert into profiles (user_id, first_name, last_name, full_name)
     select ${sqlId('user')}, 'User', name, 'User ' || name from generate_series(1, $1::int) n, ${NAMES}`,
    [users],
  );
  await seedSessions(db, users);
  await seedRole(db, users);
  await db.query('commit');
}

async function seedSessions(db: ClientBase, users: number): Promise<void> {
  await db.query(
    `insert into sessions (id, user_id, auth_methods, created_at, last_active_at, expires_at, refresh_family_hash, refresh_hash)
     select ${sqlId('session')}, ${sqlId('user')}, '{pwd}', now(), now(), now() + interval '7 days',
       sha256(convert_to(family, 'UTF8')), sha256(convert_to(family || $3, 'UTF8'))
     from generate_series(1, $1::int) n, lateral (select rpad('bench-' || n || '-', $2, 'x') as family) token`,
    [users, PART_OF_TOKEN, END_OF_TOKEN],
  );
}

async function seedRole(db: ClientBase, users: number): Promise<void> {
  await db.query(`insert into roles (name) values ($1)`, [ROLE]);
  await db.query(
    `insert into user_roles (user_id, role_id, user_created_at)
     select users.id, roles.id, users.created_at from generate_series(100, $1::int, 100) n, users, roles
     where users.id = ${sqlId('user')} and roles.name = $2`,
    [users, ROLE],
  );
}
