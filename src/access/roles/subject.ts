import { uuid } from '../../call/validation.ts';

/** The subject of a request: a user or a service account, exactly one. */
export const subjectFields = { userId: uuid.optional(), serviceAccountId: uuid.optional() };

export interface Subject {
  readonly userId?: string | undefined;
  readonly serviceAccountId?: string | undefined;
}

export const hasOneSubject = ({ userId, serviceAccountId }: Subject) => (userId === undefined) !== (serviceAccountId === undefined);

/** Adds the rule to a request that has these fields under the name of its oneof. */
export const oneSubject = (path: string) => ({ path: [path], error: 'must be either a user_id or a service_account_id' });

/** The subject as the audit trail names it. */
export function subjectOf({ userId, serviceAccountId }: Subject): { userId?: string; metadata: Record<string, string> } {
  return userId === undefined ? { metadata: { service_account_id: serviceAccountId ?? '' } } : { userId, metadata: {} };
}
