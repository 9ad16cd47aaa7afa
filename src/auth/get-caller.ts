import { z } from 'zod';
import { callerUnauthenticated } from '../call/authorize.ts';
import type { Call, ServiceAccountCaller, UserCaller } from '../call/call.ts';

export const getCallerInput = z.custom<object>();

export function getCaller({ caller }: Call): UserCaller | ServiceAccountCaller {
  if (caller.kind === 'anonymous') throw callerUnauthenticated();
  return caller;
}
