import { fork } from 'node:child_process';
import { ask } from './ask.ts';
import type { HashCount, HashRun } from './hash-loop.ts';

/** Counts password checks in a process of its own. */
export interface HashProcess {
  count(run: HashRun): Promise<HashCount>;
  stop(): Promise<void>;
}

export function startHashProcess(): HashProcess {
  const child = fork(new URL('./hash-loop.ts', import.meta.url), { execArgv: [] });
  return {
    count: (run) => ask<HashCount>(child, run),
    stop: async () => void child.kill(),
  };
}
