import type { IdentityError } from '../call/errors.ts';
import { ErrorReason } from '../gen/identity/v1/error_reason.ts';
import type { Profile as ProfileMessage, User as UserMessage } from '../gen/identity/v1/user.ts';
import {
  type DeletionReceipt,
  ExportUserResponse,
  type ImportUsersResponse,
  ImportUsersResponse_Outcome,
} from '../gen/identity/v1/user_service.ts';
import type { Receipt } from './delete-user.ts';
import type { Document } from './export-user.ts';
import type { RowOutcome } from './import-batch.ts';
import type { RowAnswer } from './import-users.ts';
import { exportTooLarge } from './user.errors.ts';
import { etagOf } from './user-etag.ts';
import type { UserView } from './user-view.ts';

export function toUserMessage(user: UserView): UserMessage {
  return {
    id: user.id,
    email: user.email,
    emailVerified: user.emailVerified,
    username: user.username ?? undefined,
    active: user.active,
    profile: toProfileMessage(user),
    roles: user.roles,
    hasPassword: user.hasPassword,
    twoFactorEnabled: false,
    etag: etagOf(user),
  };
}

function toProfileMessage(user: UserView): ProfileMessage {
  return {
    firstName: user.firstName,
    lastName: user.lastName ?? undefined,
    fullName: user.fullName,
    bio: user.bio ?? undefined,
    birthDate: toDateMessage(user.birthDate),
    avatarUrl: user.avatarUrl ?? undefined,
    phone: user.phone ?? undefined,
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

/** Clients take messages of up to 4 MiB unless they are told otherwise; the rest is for what surrounds the message. */
const MAX_EXPORT_BYTES = 4 * 1024 * 1024 - 4096;

export function toExportMessage(document: Document): ExportUserResponse {
  const message = { document };
  if (ExportUserResponse.encode(message).finish().length > MAX_EXPORT_BYTES) throw exportTooLarge();
  return message;
}

const OUTCOMES = {
  created: ImportUsersResponse_Outcome.OUTCOME_CREATED,
  unchanged: ImportUsersResponse_Outcome.OUTCOME_UNCHANGED,
  valid: ImportUsersResponse_Outcome.OUTCOME_VALID,
  refused: ImportUsersResponse_Outcome.OUTCOME_REFUSED,
} as const satisfies Record<RowOutcome['kind'], ImportUsersResponse_Outcome>;

export function toRowAnswerMessage({ row, requestId, outcome }: RowAnswer): ImportUsersResponse {
  return {
    row,
    requestId,
    outcome: OUTCOMES[outcome.kind],
    userId: 'userId' in outcome ? (outcome.userId ?? '') : '',
    refusal: outcome.kind === 'refused' ? toRefusalMessage(outcome.error) : undefined,
  };
}

function toRefusalMessage({ reason, message, details }: IdentityError): ImportUsersResponse['refusal'] {
  return { reason: ErrorReason[reason], message, fieldViolations: [...(details.fieldViolations ?? [])] };
}
