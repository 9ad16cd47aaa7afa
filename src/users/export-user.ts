import type { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { transaction } from '../database/transaction.ts';
import { type ActOnUserDeps, lockUserToActOn } from './act-on-user.ts';
import { getUserInput } from './get-user.ts';
import type { Exported, PersonalData } from './personal-data.ts';
import type { Profile } from './profile.entity.ts';
import type { User } from './user.entity.ts';
import { exportTooLarge } from './user.errors.ts';

export const exportUserInput = getUserInput;

export type Document = Readonly<Record<string, Exported>>;

export interface ExportUserDeps extends ActOnUserDeps {
  readonly personalData: readonly PersonalData[];
}

/** More of a kind do not fit into an answer anyway: an item has about 100 bytes there, or more. */
const MAX_ITEMS = 40_000;

/** Access and portability (GDPR art. 15 and 20): all that is held about a user, as it is at one moment. */
export function exportUser(call: Call, deps: ExportUserDeps, { userId }: z.output<typeof exportUserInput>): Promise<Document> {
  return transaction(call.em, async (em) => {
    const user = await lockUserToActOn(em, call, deps, userId);
    const document: Record<string, Exported> = { user: account(user), profile: profile(user.profile), roles: user.roles ?? [] };
    for (const { kind, export: exportItems } of deps.personalData) {
      if (!exportItems) continue;
      const items = await exportItems(em, userId, MAX_ITEMS);
      if (items.length === MAX_ITEMS) throw exportTooLarge();
      document[kind] = items;
    }
    record(em, call, { type: 'user.exported', userId });
    return document;
  });
}

function account(user: User): Exported {
  return {
    id: user.id,
    email: user.email,
    username: user.username ?? null,
    active: user.active,
    has_password: user.hasPassword,
    email_verified_at: moment(user.emailVerifiedAt),
    created_at: moment(user.createdAt),
    updated_at: moment(user.updatedAt),
    last_login_at: moment(user.lastLoginAt),
  };
}

function profile({ firstName, lastName, fullName, bio, birthDate, avatarUrl, phone }: Profile): Exported {
  return {
    first_name: firstName,
    last_name: lastName ?? null,
    full_name: fullName,
    bio: bio ?? null,
    birth_date: birthDate ?? null,
    avatar_url: avatarUrl ?? null,
    phone: phone ?? null,
  };
}

function moment(at: Date | null | undefined): string | null {
  return at?.toISOString() ?? null;
}
