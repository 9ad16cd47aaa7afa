import { randomUUID } from 'node:crypto';
import type { Metadata } from '@grpc/grpc-js';

/** An id from outside ends up in logs: only harmless characters, and not too many. */
const ACCEPTABLE = /^[\w.:-]{1,128}$/;

/** By the metadata of the calls that brought none: whoever asks is told the same. */
const made = new WeakMap<Metadata, string>();

/** The id under which a call is logged and its failure is reported: the caller's `x-request-id`, or a new one. */
export function requestIdOf(metadata: Metadata): string {
  const given = metadata.get('x-request-id')[0];
  if (typeof given === 'string' && ACCEPTABLE.test(given)) return given;
  const id = made.get(metadata) ?? randomUUID();
  made.set(metadata, id);
  return id;
}
