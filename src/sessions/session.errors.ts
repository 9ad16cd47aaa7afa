import { IdentityError } from '../call/errors.ts';

export const sessionNotFound = () => new IdentityError({ code: 'NOT_FOUND', reason: 'SESSION_NOT_FOUND', message: 'no such session' });
