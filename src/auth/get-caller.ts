import { z } from 'zod';
import type { Call, ServiceAccountCaller, UserCaller } from '../call/call.ts';
import { callerUnauthenticated } from '../rpc/access.ts';

export const getCallerInput = z.custom<object>();

export function getCaller({ caller }: Call): UserCaller | ServiceAccountCaller {
  if (caller.kind === 'anonymous') throw callerUnauthenticated();
  return caller;
}
