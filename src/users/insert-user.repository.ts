import type { Pool } from 'pg';
import { type Recorded, type RecordedBy, recording } from '../audit/recording.repository.ts';
import type { Client } from '../call/client.ts';
import { runPreparedUntil } from '../database/prepared.ts';
import { searchTextOf } from './search-text.ts';
import type { ProfileInput } from './user-fields.ts';

/** A row of `users` with all that belongs to it from the beginning. */
export interface InsertedUser extends RecordedBy {
  readonly id: string;
  readonly email: string;
  readonly username: string | null;
  readonly profile: ProfileInput;
  readonly requestId: string | null;
  readonly passwordHash: string | null;
  /** Whether the history of their passwords begins with it. */
  readonly passwordKept: boolean;
  readonly verificationRequested: boolean;
  readonly client: Client;
  readonly now: Date;
}

const INSERT = {
  name: 'users.insert',
  text: `
    with created as (
      insert into users (id, email, username, search_text, request_id, password_hash)
      values ($1, $2::text, $3::text, ${searchTextOf('$2::text', '$3::text', '$8::text')}, $4, $5) returning id
    ),
    profile as (
      insert into profiles (user_id, first_name, last_name, full_name, bio, birth_date, avatar_url, phone)
      select id, $6::text, $7::text, $8::text, $9::text, $10::date, $11::text, $12::text from created
    ),
    history as (
      insert into password_history (user_id, password_hash, created_at)
      select id, $5, $13::timestamptz from created where $5 is not null and $14::boolean
    ),
    occurrences as (
      select 'user.created' as type, id as user_id, $15::text as ip_address, $16::text as user_agent, $17::text as device_name,
        '{}'::jsonb as metadata
      from created
      union all
      select 'user.email_verification_requested', id, null, null, null, '{}' from created where $18::boolean
    ),
    ${recording({ callerId: '$19', actor: '$20', now: '$13' })}
    select type, user_id as "userId", metadata from occurrences`,
};

/** Inserts a user, in one statement that is its own transaction. */
export function insertUser(pool: Pool, signal: AbortSignal, user: InsertedUser): Promise<Recorded[]> {
  const { id, email, username, requestId, passwordHash, passwordKept, verificationRequested, now, callerId, actor } = user;
  const { firstName, lastName, fullName, bio, birthDate, avatarUrl, phone } = user.profile;
  const { ipAddress = null, userAgent = null, deviceName = null } = user.client;
  const account = [id, email, username, requestId, passwordHash];
  const profile = [firstName, lastName, fullName, bio, birthDate, avatarUrl, phone];
  const device = [ipAddress, userAgent, deviceName];
  const values = [...account, ...profile, now, passwordKept, ...device, verificationRequested, callerId, actor];
  return runPreparedUntil(signal, pool, INSERT, values);
}
