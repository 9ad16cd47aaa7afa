import type { ApiKey as ApiKeyMessage } from '../../gen/identity/v1/api_key.ts';
import type { IntrospectApiKeyResponse } from '../../gen/identity/v1/api_key_service.ts';
import type { ApiKey } from './api-key.entity.ts';
import type { KeyIntrospection } from './introspect-api-key.ts';

export function toApiKeyMessage(key: ApiKey): ApiKeyMessage {
  return {
    id: key.id,
    userId: key.user?.id,
    serviceAccountId: key.serviceAccount?.id,
    name: key.name,
    scopes: key.scopes,
    hint: key.hint,
    createTime: key.createdAt,
    expireTime: key.expiresAt ?? undefined,
    lastUsedTime: key.lastUsedAt ?? undefined,
    revokeTime: key.revokedAt ?? undefined,
  };
}

export function toKeyIntrospection(introspection: KeyIntrospection | undefined): IntrospectApiKeyResponse {
  if (!introspection) return { active: false, apiKey: undefined, permissions: [] };
  return { active: true, apiKey: toApiKeyMessage(introspection.apiKey), permissions: introspection.permissions };
}
