import { isIP, SocketAddress } from 'node:net';

/** The way in which IPv4 is written within IPv6 (RFC 4291 §2.5.5.2), as Node spells it. */
const MAPPED = /^::ffff:([\d.]+)$/;
/** 16 bits each. */
const GROUPS = 8;

/**
 * The one spelling of an address (RFC 5952): in lower case, as short as it goes, IPv4 as IPv4 wherever it is written within IPv6. A zone
 * (`%eth0`) means something only on the machine that has it, and is left out. Undefined for what is no address.
 */
export function canonicalAddress(address: string): string | undefined {
  const version = isIP(address);
  if (version === 0) return undefined;
  const spelled = new SocketAddress({ address, family: version === 6 ? 'ipv6' : 'ipv4' }).address;
  return MAPPED.exec(spelled)?.[1] ?? spelled;
}

/**
 * The network by which the holder of a canonical address is told from others. For IPv4 that is the address. For IPv6 it is the /64: the least
 * that anybody gets, with 2^64 addresses to choose from (RFC 6177, RFC 8981).
 */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = [], tail = []] = address.split('::').map((groups) => groups.split(':').filter(Boolean));
  const zeros = Array<string>(GROUPS - head.length - tail.length).fill('0');
  return `${[...head, ...zeros, ...tail].slice(0, GROUPS / 2).join(':')}::/64`;
}
