import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { type ValuesOf, wholeNumber } from '../../settings/variables.ts';

/** More cores than this are better used by several replicas. */
const MAX_WORKERS = 32;

export const clusterVariables = {
  CLUSTER_WORKERS: z
    .string()
    .transform((value) => (value === 'auto' ? String(Math.min(availableParallelism(), MAX_WORKERS)) : value))
    .pipe(wholeNumber(1, MAX_WORKERS, 'must be a whole number, or auto'))
    .default(1),
};

export interface ClusterSettings {
  /** The number of processes that answer calls; 1: this one. */
  readonly workers: number;
}

export function clusterSettings(env: ValuesOf<typeof clusterVariables>): ClusterSettings {
  return { workers: env.CLUSTER_WORKERS };
}
