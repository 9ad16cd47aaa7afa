import type { EntityManager } from '@mikro-orm/postgresql';

/** The content of an exported document: JSON, with names in snake_case and moments as RFC 3339 text. */
export type Exported = string | number | boolean | null | readonly Exported[] | { readonly [name: string]: Exported };

/** Something that a feature holds about a user, for ExportUser and DeleteUser. Every feature declares its own; app/ adds them up. */
export interface PersonalData {
  readonly kind: string;
  /** Up to `limit` items, without secrets and hashes; absent where the document has them elsewhere. */
  export?(em: EntityManager, userId: string, limit: number): Promise<readonly Exported[]>;
  /** Deletes what belongs to the user, or counts what the foreign keys delete; absent where something is kept. Returns how many there were. */
  erase?(em: EntityManager, userId: string): Promise<number>;
}
