import { integer, type ValuesOf } from '../settings/variables.ts';

const DAY = 86_400;

export const sessionVariables = {
  MAX_SESSIONS: integer(5, 1, 1000),
  SESSION_MAX_AGE: integer(30 * DAY, 1, 3650 * DAY),
};

export interface SessionSettings {
  /** Of one user; one more ends the least recently active. */
  readonly maxSessions: number;
  /** Seconds after which a session ends, however often it is refreshed. */
  readonly sessionMaxAge: number;
}

export function sessionSettings(env: ValuesOf<typeof sessionVariables>): SessionSettings {
  return { maxSessions: env.MAX_SESSIONS, sessionMaxAge: env.SESSION_MAX_AGE };
}
