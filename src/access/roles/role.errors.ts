import type { ConstraintErrors } from '../../call/errors.ts';
import { IdentityError } from '../../call/errors.ts';

export const roleNotFound = () => new IdentityError({ code: 'NOT_FOUND', reason: 'ROLE_NOT_FOUND', message: 'no such role' });

export const roleAlreadyExists = () =>
  new IdentityError({ code: 'ALREADY_EXISTS', reason: 'ROLE_ALREADY_EXISTS', message: 'the name belongs to another role' });

export const roleBuiltIn = () =>
  new IdentityError({ code: 'FAILED_PRECONDITION', reason: 'ROLE_BUILT_IN', message: 'built-in roles cannot be changed or deleted' });

export const staleRole = () =>
  new IdentityError({ code: 'ABORTED', reason: 'CONCURRENT_UPDATE', message: 'the etag is stale: the role was changed in between' });

export const grantExceedsCaller = () =>
  new IdentityError({
    code: 'PERMISSION_DENIED',
    reason: 'GRANT_EXCEEDS_CALLER',
    message: 'the call would give, take or act upon permissions that the caller does not have',
  });

export const roleConstraints: ConstraintErrors = { roles_name_key: roleAlreadyExists };
