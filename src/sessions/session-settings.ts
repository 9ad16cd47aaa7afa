import { integer, type ValuesOf } from '../settings/variables.ts';

export const sessionVariables = {
  MAX_SESSIONS: integer(5, 1, 1000),
};

export interface SessionSettings {
  /** Of one user; one more ends the least recently active. */
  readonly maxSessions: number;
}

export function sessionSettings(env: ValuesOf<typeof sessionVariables>): SessionSettings {
  return { maxSessions: env.MAX_SESSIONS };
}
