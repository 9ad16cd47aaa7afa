import { defineEntity, p, raw } from '@mikro-orm/postgresql';
import { insertedAt } from '../database/columns.ts';

const SessionGenerationSchema = defineEntity({
  name: 'SessionGeneration',
  tableName: 'session_generations',
  properties: {
    number: p.integer().primary().autoincrement(false),
    beganAt: insertedAt(),
  },
});

/**
 * A generation of sessions. Each session belongs to the one in which it began, and lives only while that is the latest: to begin the next one
 * ends all of them at once, whatever the clocks say (ADR 17).
 */
export class SessionGeneration extends SessionGenerationSchema.class {}
SessionGenerationSchema.setClass(SessionGeneration);

/** The latest generation, as a part of a query. */
export const CURRENT_GENERATION = '(select max(number) from session_generations)';

/** The same, as the value of a new row: the database finds it when it inserts the row. */
export const currentGeneration = () => raw(CURRENT_GENERATION);
