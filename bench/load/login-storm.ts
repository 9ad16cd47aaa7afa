import { fork } from 'node:child_process';
import { ask } from '../servers/ask.ts';
import type { StormCount, StormSettings } from './login-storm-process.ts';

/** More logins at a time than the machine can hash for. */
export interface LoginStorm {
  /** Ends it: at once, or after everybody who is waiting has been answered. */
  stop(how: 'at once' | 'when answered'): Promise<StormCount>;
}

export async function startLoginStorm(settings: StormSettings): Promise<LoginStorm> {
  const child = fork(new URL('./login-storm-process.ts', import.meta.url), { execArgv: [] });
  await ask(child, settings);
  return {
    stop: async (how) => {
      const count = await ask<StormCount>(child, how);
      child.kill();
      return count;
    },
  };
}
