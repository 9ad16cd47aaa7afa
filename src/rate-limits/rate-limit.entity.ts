import { defineEntity, p } from '@mikro-orm/postgresql';

const RateLimitSchema = defineEntity({
  name: 'RateLimit',
  tableName: 'rate_limits',
  properties: {
    key: p.string().length(255).primary(),
    points: p.integer().default(0),
    /** Milliseconds since 1970. */
    expire: p.bigint('number').nullable(),
    /** The different things that were counted, as keyed hashes, where they count and not the calls. */
    subjects: p.array().columnType('text[]').nullable(),
  },
});

/** The counters. Those of callers are read and written by rate-limiter-flexible itself; the shape is its own. */
export class RateLimit extends RateLimitSchema.class {}
RateLimitSchema.setClass(RateLimit);
