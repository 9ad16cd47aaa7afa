import type { PeerCertificate } from 'node:tls';
import { canonicalAddress } from '../call/ip-address.ts';

/** `10.0.0.7:51234` → `10.0.0.7`, `[::1]:51234` → `::1`, `::ffff:10.0.0.7:51234` → `10.0.0.7` */
export function addressOf(peer: string): string {
  const address = peer.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return canonicalAddress(address) ?? address;
}

/** `::1`, 50051 → `[::1]:50051` */
export function addressAt(host: string, port: number | string): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The DNS names in the subject alternative names of a certificate (RFC 5280 §4.2.1.6). The common name does not count (RFC 6125). */
export function dnsNamesOf(certificate: PeerCertificate | undefined): string[] {
  const names = certificate?.subjectaltname?.split(', ') ?? [];
  return names.filter((name) => name.startsWith('DNS:')).map((name) => name.slice('DNS:'.length).toLowerCase());
}
