import type { PagingDeps } from '../../call/paging.ts';
import type { CoalescedReads } from '../../concurrency/coalesced-reads.ts';
import { ApiKeyServiceService } from '../../gen/identity/v1/api_key_service.ts';
import { type Service, service } from '../../rpc/server.ts';
import { rpc } from '../../rpc/unary.ts';
import { toApiKeyMessage, toKeyIntrospection } from './api-key.mapper.ts';
import { type CreateApiKeyDeps, createApiKey, createApiKeyInput } from './create-api-key.ts';
import { introspectApiKey, introspectApiKeyInput } from './introspect-api-key.ts';
import { listApiKeys, listApiKeysInput } from './list-api-keys.ts';
import type { RecognisedApiKey } from './recognised-api-key.repository.ts';
import { revokeApiKey, revokeApiKeyInput } from './revoke-api-key.ts';

export interface ApiKeyDeps extends CreateApiKeyDeps, PagingDeps {
  /** By their hashes, in hexadecimal. */
  readonly apiKeys: CoalescedReads<RecognisedApiKey>;
}

export function apiKeyService(deps: ApiKeyDeps): Service {
  return service(ApiKeyServiceService, {
    createApiKey: rpc(createApiKeyInput, async (call, input) => {
      const { apiKey, key } = await createApiKey(call, deps, input);
      return { apiKey: toApiKeyMessage(apiKey), key };
    }),
    listApiKeys: rpc(listApiKeysInput, async (call, input) => {
      const { rows, nextPageToken } = await listApiKeys(call, deps, input);
      return { apiKeys: rows.map(toApiKeyMessage), nextPageToken };
    }),
    revokeApiKey: rpc(revokeApiKeyInput, async (call, input) => {
      await revokeApiKey(call, input);
      return {};
    }),
    introspectApiKey: rpc(introspectApiKeyInput, async (call, input) =>
      toKeyIntrospection(await introspectApiKey(deps.apiKeys, call, input)),
    ),
  });
}
