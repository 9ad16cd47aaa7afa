import type { Call } from '../call/call.ts';
import { type RequestByMailDeps, type RequestByMailInput, requestByMail } from './request-by-mail.ts';

export function requestEmailVerification(call: Call, deps: RequestByMailDeps, input: RequestByMailInput): Promise<void> {
  return requestByMail(call, deps, { rpc: 'RequestEmailVerification', type: 'user.email_verification_requested' }, input);
}
