import type { EntityManager } from '@mikro-orm/postgresql';

/**
 * Ends the generation of sessions that goes on, and begins the next one. Of two who do so at the same time the second waits for the first and then
 * finds it done.
 */
export async function endGeneration(em: EntityManager, now: Date): Promise<void> {
  await em.execute(
    `with ended as (update session_generations set ended_at = ? where ended_at is null returning number)
     insert into session_generations (number) select number + 1 from ended`,
    [now],
  );
}
