import type { EntityManager } from '@mikro-orm/postgresql';
import type { PreparedStatements } from '../database/prepared.ts';
import type { Access } from './authorize.ts';
import { Permissions } from './permissions.ts';

/** Nobody: no credentials. */
export interface AnonymousCaller {
  readonly kind: 'anonymous';
  readonly permissions: Permissions;
}

/** An end user, by an access token or by an API key of theirs. */
export interface UserCaller {
  readonly kind: 'user';
  readonly userId: string;
  /** The session of the access token; an API key has none. */
  readonly sessionId?: string;
  /** The moment at which they last proved who they are, as their access token says (seconds since 1970); an API key proves nothing. */
  readonly authTime?: number;
  /** The API key of the call, if it came with one. */
  readonly keyId?: string;
  readonly permissions: Permissions;
  /** Tells whether they may do to themselves what it takes a permission to do to others. A key with scopes may not. */
  readonly actsForSelf: boolean;
}

/** A program, by an API key or by a client certificate. */
export interface ServiceAccountCaller {
  readonly kind: 'service_account';
  readonly id: string;
  readonly name: string;
  /** The API key of the call; a certificate has none. */
  readonly keyId?: string;
  readonly permissions: Permissions;
}

/** The credentials that came with a call. */
export interface Credentials {
  readonly authorization: string | undefined;
  /** DNS names in the subject alternative names of a client certificate that our CA has signed. */
  certificateNames(): readonly string[];
  /** As of the call. */
  peerAddress(): string;
}

/** The maker of a call. */
export type Caller = AnonymousCaller | UserCaller | ServiceAccountCaller;

export const ANONYMOUS: Caller = { kind: 'anonymous', permissions: Permissions.NONE };

/** The two ways into the database. */
export interface DatabaseAccess {
  /** The unit of work. */
  readonly em: EntityManager;
  /** Prepared statements, each a transaction of its own, for the few that an ADR names. */
  readonly db: PreparedStatements;
}

/** One call, as the use cases see it. Its unit of work is that of no other call, and what runs for it is cancelled with it. */
export interface Call extends DatabaseAccess {
  /** The rule of the RPC about who may call it. */
  readonly access: Access;
  /** Aborted when the caller cancels or the deadline passes. */
  readonly signal: AbortSignal;
  readonly requestId: string;
  readonly caller: Caller;
  /** The address of the other end of the connection, without a port, in its one spelling (ip-address.ts). */
  readonly peerAddress: string;
  readonly now: () => Date;
  /** The same, but deaf to the cancellation of the call: for what has to be remembered although nobody waits for it any more. */
  uncancelled(): DatabaseAccess;
}

/** The caller as the audit trail names it. */
export function actorOf({ caller }: { readonly caller: Caller }): string {
  switch (caller.kind) {
    case 'user':
      return `user:${caller.userId}`;
    case 'service_account':
      return `service_account:${caller.name}`;
    case 'anonymous':
      return 'anonymous';
  }
}

/** Unique over users and service accounts. */
export function idOfCaller(caller: Caller): string {
  switch (caller.kind) {
    case 'user':
      return caller.userId;
    case 'service_account':
      return caller.id;
    case 'anonymous':
      return 'anonymous';
  }
}
