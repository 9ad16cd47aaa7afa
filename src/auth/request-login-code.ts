import type { Call } from '../call/call.ts';
import { type RequestByMailDeps, type RequestByMailInput, requestByMail } from './request-by-mail.ts';

export function requestLoginCode(call: Call, deps: RequestByMailDeps, input: RequestByMailInput): Promise<void> {
  return requestByMail(call, deps, { rpc: 'RequestLoginCode', type: 'user.login_code_requested' }, input);
}
