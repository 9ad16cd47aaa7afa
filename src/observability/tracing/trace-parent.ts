/** A span, as W3C Trace Context names it: lower-case hexadecimal, of 32 and of 16 digits, neither of them all zeros. */
export interface SpanIds {
  readonly traceId: string;
  readonly spanId: string;
}

export interface TraceParent extends SpanIds {
  readonly sampled: boolean;
}

const TRACEPARENT = /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(-.*)?$/;

/** Reads a `traceparent` header; undefined where it is not valid, which is as good as none (W3C Trace Context §3.2). */
export function readTraceParent(header: string): TraceParent | undefined {
  const [, version, traceId, spanId, flags, more] = TRACEPARENT.exec(header) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  // Later versions may say more; this one does not.
  if (version === '00' && more !== undefined) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
