import { hashPassword, type SchemeSettings, type Verdict, verifyPassword } from './password-scheme.ts';

/** What the pool's threads are asked to do. */
export type HashTask = { readonly settings: SchemeSettings } & (
  | { readonly kind: 'hash'; readonly password: string }
  | { readonly kind: 'verify'; readonly password: string; readonly stored: string }
);

/** Sent once to every thread; `arrived` is shared by all of them. */
export interface RollCall {
  readonly kind: 'roll call';
  readonly arrived: Int32Array;
  readonly threads: number;
}

/** Returns when every thread is here: a thread that waits cannot answer for another one. */
function answerRollCall({ arrived, threads }: RollCall): void {
  Atomics.add(arrived, 0, 1);
  Atomics.notify(arrived, 0);
  for (let present = Atomics.load(arrived, 0); present < threads; present = Atomics.load(arrived, 0)) Atomics.wait(arrived, 0, present);
}

export default function run(task: HashTask | RollCall): string | Verdict | undefined {
  if (task.kind === 'roll call') return void answerRollCall(task);
  return task.kind === 'hash' ? hashPassword(task.password, task.settings) : verifyPassword(task.password, task.stored, task.settings);
}
