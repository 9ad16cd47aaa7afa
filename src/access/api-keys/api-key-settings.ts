import { integer, type ValuesOf } from '../../settings/variables.ts';

export const apiKeyVariables = {
  MAX_API_KEYS: integer(100, 1, 10_000),
};

export interface ApiKeySettings {
  /** Of one owner, that work at the same time. */
  readonly maxApiKeys: number;
}

export function apiKeySettings(env: ValuesOf<typeof apiKeyVariables>): ApiKeySettings {
  return { maxApiKeys: env.MAX_API_KEYS };
}
