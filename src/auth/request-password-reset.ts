import type { Call } from '../call/call.ts';
import { type RequestByMailDeps, type RequestByMailInput, requestByMail } from './request-by-mail.ts';

export function requestPasswordReset(call: Call, deps: RequestByMailDeps, input: RequestByMailInput): Promise<void> {
  return requestByMail(call, deps, { rpc: 'RequestPasswordReset', type: 'user.password_reset_requested' }, input);
}
