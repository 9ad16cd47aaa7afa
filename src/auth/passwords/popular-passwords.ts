import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { CommonPasswords } from './password-policy.ts';

// The one file of the package that is needed: all of it would take 24 MB and 27 ms.
const LIST = createRequire(import.meta.url).resolve('@zxcvbn-ts/language-common/src/passwords.json');

/**
 * Passwords in texts of lines, one for each length, which take half a megabyte where a Set takes four, and nothing before somebody wants a
 * new password.
 */
export class PasswordLines implements CommonPasswords {
  readonly #read: () => Iterable<string>;
  #content: { readonly size: number; readonly linesByLength: ReadonlyMap<number, string> } | undefined;

  constructor(read: () => Iterable<string>) {
    this.#read = read;
  }

  get size(): number {
    return this.#load().size;
  }

  has(password: string): boolean {
    const lines = this.#load().linesByLength.get(password.length);
    return lines !== undefined && !password.includes('\n') && lines.includes(`\n${password}\n`);
  }

  #load() {
    if (!this.#content) {
      const distinct = new Set(this.#read());
      const byLength = Map.groupBy(distinct, ({ length }) => length);
      const linesByLength = new Map([...byLength].map(([length, passwords]) => [length, `\n${passwords.join('\n')}\n`]));
      this.#content = { size: distinct.size, linesByLength };
    }
    return this.#content;
  }
}

/** The most common passwords, in lower case: what is tried first (ASVS 6.2.4). */
export const COMMON_PASSWORDS: CommonPasswords = new PasswordLines(() =>
  (JSON.parse(readFileSync(LIST, 'utf8')) as string[]).map((password) => password.toLowerCase()),
);
