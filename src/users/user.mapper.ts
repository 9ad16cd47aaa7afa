import type { Profile as ProfileMessage, User as UserMessage } from '../gen/identity/v1/user.ts';
import type { DeletionReceipt } from '../gen/identity/v1/user_service.ts';
import type { Receipt } from './delete-user.ts';
import type { Profile } from './profile.entity.ts';
import type { User } from './user.entity.ts';
import { etagOf } from './user-etag.ts';

export function toUserMessage(user: User): UserMessage {
  return {
    id: user.id,
    email: user.email,
    emailVerified: user.isEmailVerified(),
    username: user.username ?? undefined,
    active: user.active,
    profile: toProfileMessage(user.profile),
    roles: user.roles ?? [],
    hasPassword: user.hasPassword,
    twoFactorEnabled: false,
    etag: etagOf(user),
  };
}

function toProfileMessage(profile: Profile): ProfileMessage {
  return {
    firstName: profile.firstName,
    lastName: profile.lastName ?? undefined,
    fullName: profile.fullName,
    bio: profile.bio ?? undefined,
    birthDate: toDateMessage(profile.birthDate),
    avatarUrl: profile.avatarUrl ?? undefined,
    phone: profile.phone ?? undefined,
  };
}

function toDateMessage(date: string | null | undefined): ProfileMessage['birthDate'] {
  if (date == null) return undefined;
  const [year = 0, month = 0, day = 0] = date.split('-').map(Number);
  return { year, month, day };
}

export function toReceiptMessage({ userId, deleted, kept }: Receipt): DeletionReceipt {
  return { userId, deleted: deleted.map((item) => ({ ...item, reason: '' })), kept: [...kept] };
}
