import type { EntityManager } from '@mikro-orm/postgresql';

/** The share of the accounts whose hashes were made alike, and one of these hashes. */
export interface HashSample {
  /** All of it but salt and hash: scheme and parameters. */
  readonly scheme: string;
  readonly passwordHash: string;
  readonly count: number;
}

/** Of 8 KiB: some 4,000 accounts. */
const MAX_PAGES = 200;
/** No table has so many, but somebody could import them. */
const MAX_SCHEMES = 100;

/** The last two fields of most formats are salt and hash; bcrypt has both in one. */
const SCHEME = String.raw`regexp_replace(password_hash, '(\$2[aby]\$\d\d\$).*$|[^$]*\$[^$]*$', '\1')`;

/**
 * A sample of the hashes that are stored, by scheme: always of the same pages of the table, so that it changes only as much as the table does.
 * It reads no more of a million accounts than of a few thousand.
 */
export async function samplePasswordHashes(em: EntityManager): Promise<HashSample[]> {
  const [size] = await em.execute<{ pages: number }[]>(
    `select pg_relation_size('users')::float8 / current_setting('block_size')::float8 as pages`,
  );
  const percent = Math.min(100, (100 * MAX_PAGES) / Math.max(size?.pages ?? 0, 1));
  return em.execute<HashSample[]>(
    `select ${SCHEME} as scheme, min(password_hash) as "passwordHash", count(*)::int as count
     from users tablesample system (?) repeatable (0)
     where password_hash is not null and is_active group by scheme order by count(*) desc limit ${MAX_SCHEMES}`,
    [percent],
  );
}
