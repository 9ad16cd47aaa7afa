import { hashPassword, type SchemeSettings, type Verdict, verifyPassword } from './password-scheme.ts';

/** What the pool's threads are asked to do. `claim` is shared memory: see hash-pool.ts. */
export type HashTask = { readonly claim: Int32Array; readonly settings: SchemeSettings } & (
  | { readonly kind: 'hash'; readonly password: string }
  | { readonly kind: 'verify'; readonly password: string; readonly stored: string }
);

/** States of a task. Whoever moves it away from WAITING first, thread or canceller, has it. */
export const WAITING = 0;
export const STARTED = 1;
export const WITHDRAWN = 2;

export default function run(task: HashTask): string | Verdict | undefined {
  if (Atomics.compareExchange(task.claim, 0, WAITING, STARTED) !== WAITING) return undefined;
  return task.kind === 'hash' ? hashPassword(task.password, task.settings) : verifyPassword(task.password, task.stored, task.settings);
}
