import type { ConstraintErrors } from '../../call/errors.ts';
import { IdentityError } from '../../call/errors.ts';

export const serviceAccountNotFound = () =>
  new IdentityError({ code: 'NOT_FOUND', reason: 'SERVICE_ACCOUNT_NOT_FOUND', message: 'no such service account' });

export const serviceAccountAlreadyExists = () =>
  new IdentityError({
    code: 'ALREADY_EXISTS',
    reason: 'SERVICE_ACCOUNT_ALREADY_EXISTS',
    message: 'the name belongs to another service account',
  });

export const serviceAccountConstraints: ConstraintErrors = { service_accounts_name_key: serviceAccountAlreadyExists };
