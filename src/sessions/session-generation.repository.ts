import type { EntityManager } from '@mikro-orm/postgresql';

/** Begins the next generation of sessions, once where several do so at the same time: whoever comes second waits for the first. */
export async function beginGeneration(em: EntityManager, now: Date): Promise<void> {
  await em.execute(
    `insert into session_generations (number, began_at) select max(number) + 1, ? from session_generations
     on conflict (number) do nothing`,
    [now],
  );
}
