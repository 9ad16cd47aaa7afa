import { z } from 'zod';
import { emptyAsAbsent, line } from '../rpc/validation.ts';

const fields = z.object({
  ipAddress: emptyAsAbsent(z.string().pipe(z.union([z.ipv4(), z.ipv6()], { error: 'must be an IPv4 or IPv6 address' }))),
  userAgent: emptyAsAbsent(line(1024)),
  deviceName: emptyAsAbsent(line(100)),
});

/** What the calling backend says about the end user's device; every field may be absent. */
export type Client = z.output<typeof fields>;

export const NO_CLIENT: Client = {};

export const client = fields.optional().transform((given): Client => given ?? NO_CLIENT);
