import { randomUUID } from 'node:crypto';
import type { Metadata } from '@grpc/grpc-js';

/** An id from outside ends up in logs: only harmless characters, and not too many. */
const ACCEPTABLE = /^[\w.:-]{1,128}$/;

/** The id under which a call is logged and its failure is reported: the caller's `x-request-id`, or a new one. */
export function requestIdOf(metadata: Metadata): string {
  const given = metadata.get('x-request-id')[0];
  return typeof given === 'string' && ACCEPTABLE.test(given) ? given : randomUUID();
}
