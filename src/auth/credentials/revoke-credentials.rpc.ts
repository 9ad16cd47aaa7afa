import { parse } from '../../call/validation.ts';
import type { RevokeCredentialsRequest, RevokeCredentialsResponse } from '../../gen/identity/v1/user_service.ts';
import type { Rpc } from '../../rpc/unary.ts';
import { toCredentialKind, toRevocationReceipt } from './credential.mapper.ts';
import { revokeCredentials, revokeCredentialsInput } from './revoke-credentials.ts';

/** An RPC of UserService, which `users` is given by app/: only this room knows all kinds of credentials. */
export const revokeCredentialsRpc: Rpc<RevokeCredentialsRequest, RevokeCredentialsResponse> = {
  async answer(call, { userId, kinds }) {
    const input = parse(revokeCredentialsInput, { userId, kinds: kinds.map(toCredentialKind) });
    return { receipt: toRevocationReceipt(input.userId, await revokeCredentials(call, input)) };
  },
};
