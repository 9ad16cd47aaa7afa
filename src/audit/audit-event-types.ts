interface AuditEventKind {
  /** One sentence for auditors; the proto comment of `AuditEvent.type` repeats it. */
  readonly description: string;
  /** Tells whether the events table has it, too: for mails, for other replicas, for every consumer. */
  readonly published: boolean;
  /** True where it changes what somebody may do: what is remembered about callers and sessions is forgotten before the call is answered. */
  readonly authorization?: true;
}

/** The only list of what is written down. */
export const AUDIT_EVENT_TYPES = {
  'user.created': { description: 'An account was made.', published: true },
  'user.updated': { description: 'The profile or the username changed.', published: true },
  'user.username_changed': { description: 'The username changed.', published: true },
  'user.email_verification_requested': { description: 'A mail was asked for that verifies the address.', published: true },
  'user.email_verified': { description: 'The address was proven.', published: true },
  'user.email_change_requested': { description: 'A mail was asked for that changes the address.', published: true },
  'user.email_changed': { description: 'The address changed, after the new one was proven.', published: true },
  'user.email_change_reverted': { description: 'A change of the address was undone from the old one.', published: true },
  'user.password_reset_requested': { description: 'A mail was asked for that lets its reader set a new password.', published: true },
  'user.password_changed': { description: 'The password changed, by its owner or by a reset.', published: true },
  'user.password_checked': { description: 'A caller was told whether a password is one of the latest ones.', published: false },
  'user.login_code_requested': { description: 'A mail with a login code was asked for.', published: true },
  'user.locked': { description: 'Too many failed attempts locked the account.', published: true },
  'user.unlocked': { description: 'The lock and the failed attempts were cleared.', published: true },
  'user.login': { description: 'A session began.', published: false },
  'user.login_failed': { description: 'A password or a code was wrong.', published: false },
  'user.new_device': { description: 'A session began on a device that the account had not seen.', published: true },
  'user.deactivated': { description: 'The account was deactivated.', published: true, authorization: true },
  'user.reactivated': { description: 'The account was reactivated.', published: true, authorization: true },
  'user.exported': { description: 'All that is held about a user, or about all users, was handed out.', published: false },
  'user.deleted': { description: 'The account was erased.', published: true, authorization: true },
  'session.revoked': { description: 'A session was ended before its time.', published: true },
  'session.all_revoked': { description: 'All sessions of all users were ended.', published: true },
  'session.reauthenticated': { description: 'The user of a session proved anew who they are.', published: false },
  'session.refresh_reused': { description: 'A used refresh token came back, so its session ended.', published: true },
  'role.created': { description: 'A role was made.', published: false },
  'role.updated': { description: 'The description or the permissions of a role changed.', published: false, authorization: true },
  'role.deleted': { description: 'A role was deleted.', published: false, authorization: true },
  'role.assigned': { description: 'A user or a service account got a role.', published: true, authorization: true },
  'role.unassigned': { description: 'A user or a service account lost a role.', published: true, authorization: true },
  'service_account.created': { description: 'A service account was made.', published: false },
  'service_account.deleted': { description: 'A service account was deleted.', published: false, authorization: true },
  'api_key.created': { description: 'An API key was made.', published: true },
  'api_key.revoked': { description: 'An API key was revoked.', published: false, authorization: true },
  'call.refused': { description: 'A call was refused for who made it.', published: false },
  'mail.failed': { description: 'A mail was given up.', published: false },
} as const satisfies Record<string, AuditEventKind>;

export type AuditEventType = keyof typeof AUDIT_EVENT_TYPES;

/** The types that the events table tells. */
export type PublishedEventType = {
  [Type in AuditEventType]: (typeof AUDIT_EVENT_TYPES)[Type]['published'] extends true ? Type : never;
}[AuditEventType];

/** Tells whether what is remembered about callers and sessions may be wrong after it. */
export function changesAuthorization(type: AuditEventType): boolean {
  const { authorization }: AuditEventKind = AUDIT_EVENT_TYPES[type];
  return authorization === true;
}

export function isPublished(type: AuditEventType): type is PublishedEventType {
  return AUDIT_EVENT_TYPES[type].published;
}
