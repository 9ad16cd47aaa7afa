import { z } from 'zod';
import { Secret } from '../secrets/secret.ts';
import { type Call, idOfCaller } from './call.ts';
import { canonicalAddress, networkOf } from './ip-address.ts';
import { emptyAsAbsent, line } from './validation.ts';

/** Lets a service account say from which address its end user comes. */
const VOUCH = 'identity.clients.vouch';

/** 256 bits in base64url: anything else was never issued, and is as if there were none. */
const DEVICE_TOKEN = /^[\w-]{43}$/;
const ipAddress = z.string().transform((given, context) => {
  // A zone means nothing to anybody else.
  const address = given.includes('%') ? undefined : canonicalAddress(given);
  if (address === undefined) context.addIssue('must be an IPv4 or IPv6 address');
  return address ?? given;
});

const fields = z.object({
  ipAddress: emptyAsAbsent(ipAddress),
  userAgent: emptyAsAbsent(line(1024)),
  deviceName: emptyAsAbsent(line(100)),
  deviceToken: z
    .string()
    .optional()
    .transform((token) => (token !== undefined && DEVICE_TOKEN.test(token) ? new Secret(token) : undefined))
    .pipe(z.instanceof(Secret).optional()),
});

/** The end user's device, as the calling backend describes it; every field may be absent. */
export type Client = z.output<typeof fields>;

/** The fields that may be kept and shown: not the secret of the device. */
export function describedDevice({ deviceToken, ...described }: Client): Omit<Client, 'deviceToken'> {
  return described;
}

export const NO_CLIENT: Client = {};

export const client = fields.optional().transform((given): Client => given ?? NO_CLIENT);

/**
 * The client with an address that can be relied on: the audit trail shows it. A backend that may vouch says where its end user is; an end user
 * who calls directly is where the connection comes from; of anybody else nothing is known.
 */
export function vouchedClient({ caller, peerAddress }: Call, given: Client): Client {
  if (caller.kind === 'user') return { ...given, ipAddress: peerAddress };
  return caller.permissions.has(VOUCH) ? given : { ...given, ipAddress: undefined };
}

/**
 * The one that a call is held against where callers share something that is scarce: the network of the end user, where it can be relied on,
 * or else the caller itself. A backend that tells no addresses is one origin with all its end users.
 */
export function originOf(call: Call, given: Client): string {
  const { ipAddress } = vouchedClient(call, given);
  return ipAddress === undefined ? `caller ${idOfCaller(call.caller)}` : networkOf(ipAddress);
}
