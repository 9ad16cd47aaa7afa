import type { Connection } from '../../app/resources.ts';
import type { Snapshot } from '../../observability/metrics/metrics.ts';

/**
 * The data that a worker needs to begin. It comes over the channel between the processes: secrets are on no command
 * line and in no new environment.
 */
export interface StartOrder extends Pick<Connection, 'databaseUrl' | 'secretKey'> {
  readonly kind: 'start';
  /** The number of the worker. */
  readonly number: number;
}

/** A message from the primary to a worker. */
export type Order =
  | StartOrder
  /** `serving` tells whether all workers are serving. */
  | { readonly kind: 'health of all'; readonly serving: boolean }
  | { readonly kind: 'measure' }
  | { readonly kind: 'end' };

/** A message from a worker to the primary. */
export type Report =
  /** It listens to the channel: what was said before may be lost. */
  | { readonly kind: 'awake' }
  | { readonly kind: 'health'; readonly serving: boolean }
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'measured'; readonly snapshot: Snapshot };

/** The channel carries other messages, too: of Node itself, and of who watches a process from outside. */
export function isMessage(message: unknown): message is { readonly kind: string } {
  return typeof message === 'object' && message !== null && 'kind' in message && typeof message.kind === 'string';
}
