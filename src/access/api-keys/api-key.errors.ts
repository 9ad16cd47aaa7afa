import { IdentityError } from '../../call/errors.ts';

export const apiKeyNotFound = () => new IdentityError({ code: 'NOT_FOUND', reason: 'API_KEY_NOT_FOUND', message: 'no such API key' });
