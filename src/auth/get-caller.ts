import { z } from 'zod';
import { callerUnauthenticated } from '../rpc/access.ts';
import type { Call, ServiceAccountCaller, UserCaller } from '../rpc/call.ts';

export const getCallerInput = z.custom<object>();

export function getCaller({ caller }: Call): UserCaller | ServiceAccountCaller {
  if (caller.kind === 'anonymous') throw callerUnauthenticated();
  return caller;
}
