import { defineEntity, p, raw } from '@mikro-orm/postgresql';
import { moment } from '../database/columns.ts';

const SessionGenerationSchema = defineEntity({
  name: 'SessionGeneration',
  tableName: 'session_generations',
  properties: {
    number: p.integer().primary().autoincrement(false),
    /** Null for the one that goes on. */
    endedAt: moment().nullable(),
  },
});

/**
 * A generation of sessions. Each session belongs to the one in which it began, and lives only while that goes on: to end it ends
 * all of them at once, whatever the clocks say (ADR 17).
 */
export class SessionGeneration extends SessionGenerationSchema.class {}
SessionGenerationSchema.setClass(SessionGeneration);

/** The generation that goes on, as a part of a query. */
export const CURRENT_GENERATION = '(select number from session_generations where ended_at is null)';

/** The same, as the value of a new row: the database finds it when it inserts the row. */
export const currentGeneration = () => raw(CURRENT_GENERATION);
