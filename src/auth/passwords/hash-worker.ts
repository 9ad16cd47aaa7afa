import { hashPassword, type SchemeSettings, type Verdict, verifyPassword } from './password-scheme.ts';

/** What the pool's threads are asked to do. */
export type HashTask = { readonly settings: SchemeSettings } & (
  | { readonly kind: 'hash'; readonly password: string }
  | { readonly kind: 'verify'; readonly password: string; readonly stored: string }
);

export default function run(task: HashTask): string | Verdict {
  return task.kind === 'hash' ? hashPassword(task.password, task.settings) : verifyPassword(task.password, task.stored, task.settings);
}
