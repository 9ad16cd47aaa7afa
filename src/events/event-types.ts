/** The changes that others follow. They have the names that the audit trail gives them. */
export const EVENT_TYPES = [
  'user.created',
  'user.updated',
  'user.email_verification_requested',
  'user.email_verified',
  'user.password_reset_requested',
  'user.password_changed',
  'user.login_code_requested',
  'user.new_device',
  'user.locked',
  'user.unlocked',
  'user.deactivated',
  'user.reactivated',
  'user.deleted',
  'session.revoked',
  'role.assigned',
  'role.unassigned',
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

const NAMES: ReadonlySet<string> = new Set(EVENT_TYPES);

export function isEventType(type: string): type is EventType {
  return NAMES.has(type);
}
