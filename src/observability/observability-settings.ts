import { flag, oneOf, type ValuesOf, wholeNumber } from '../settings/variables.ts';

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

export const observabilityVariables = {
  METRICS_PORT: wholeNumber(0, 65_535).optional(),
  LOG_LEVEL: oneOf(LOG_LEVELS).default('info'),
  ACCESS_LOG: flag,
};

export interface ObservabilitySettings {
  /** Absent: no metrics. */
  readonly metricsPort: number | undefined;
  readonly logLevel: (typeof LOG_LEVELS)[number];
  /** A line for each call that succeeds, beside those for calls that fail. */
  readonly accessLog: boolean;
}

export function observabilitySettings(env: ValuesOf<typeof observabilityVariables>): ObservabilitySettings {
  return { metricsPort: env.METRICS_PORT, logLevel: env.LOG_LEVEL, accessLog: env.ACCESS_LOG };
}
