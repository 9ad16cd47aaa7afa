import { IdentityError } from '../../call/errors.ts';

export const apiKeyNotFound = () => new IdentityError({ code: 'NOT_FOUND', reason: 'API_KEY_NOT_FOUND', message: 'no such API key' });

export const tooManyApiKeys = (max: number) =>
  new IdentityError({
    code: 'FAILED_PRECONDITION',
    reason: 'TOO_MANY_API_KEYS',
    message: `the owner has ${max} API keys that work: one has to be revoked first`,
    metadata: { limit: String(max) },
  });
