import { timingSafeEqual } from 'node:crypto';

/** A stored hash that was understood. */
export interface ForeignHash {
  /** Takes a thread for as long as its parameters say. */
  matches(password: string): Promise<boolean>;
}

/**
 * The reason why no password can be compared with a stored value. The value is not in it: it is as good as the
 * password, to anybody who can guess.
 */
export class UnusableHash extends Error {
  override readonly name = 'UnusableHash';
}

/** Fewer bytes could be hit by chance; more only multiply the work. */
const HASH_BYTES = { min: 16, max: 64 };
/** Fewer are refused by argon2 itself (RFC 9106 §3.1). */
export const SALT_BYTES = { min: 8, max: 128 };

export const hashBytes = (base64: string) => decode('hash', base64, HASH_BYTES);
export const saltBytes = (base64: string) => decode('salt', base64, SALT_BYTES);

/** A cost parameter, within what one login may cost. */
export function cost(name: string, value: string | number, min: number, max: number): number {
  const number = Number(value);
  if (number < min || number > max) throw new UnusableHash(`has ${name} ${number}, not ${min} to ${max}`);
  return number;
}

export function sized(name: string, bytes: Buffer, { min, max }: { min: number; max: number }): Buffer {
  if (bytes.length < min || bytes.length > max) throw new UnusableHash(`has a ${name} of ${bytes.length} bytes, not ${min} to ${max}`);
  return bytes;
}

/** The parts of a value that has this shape. */
export function parts(shape: RegExp, stored: string): string[] {
  const match = shape.exec(stored);
  if (!match) throw new UnusableHash('is not a well-formed hash of the scheme that it names');
  return match.slice(1).map((part) => part ?? '');
}

export function sameBytes(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** With or without padding. */
function decode(name: string, base64: string, size: { min: number; max: number }): Buffer {
  return sized(name, Buffer.from(base64, 'base64'), size);
}
