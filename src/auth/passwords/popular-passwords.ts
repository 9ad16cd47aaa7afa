import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { CommonPasswords } from './password-policy.ts';

// The one file of the package that is needed: all of it would take 24 MB and 27 ms.
const LIST = createRequire(import.meta.url).resolve('@zxcvbn-ts/language-common/src/passwords.json');

/**
 * Passwords in one text of lines, which takes half a megabyte where a Set takes four, and nothing before somebody wants a new password.
 * Searching it takes 0.1 ms: nothing, where a password is about to be hashed.
 */
export class PasswordLines implements CommonPasswords {
  readonly #read: () => Iterable<string>;
  #content: { readonly size: number; readonly lines: string } | undefined;

  constructor(read: () => Iterable<string>) {
    this.#read = read;
  }

  get size(): number {
    return this.#load().size;
  }

  has(password: string): boolean {
    return !password.includes('\n') && this.#load().lines.includes(`\n${password}\n`);
  }

  #load() {
    if (!this.#content) {
      const distinct = new Set(this.#read());
      this.#content = { size: distinct.size, lines: `\n${[...distinct].join('\n')}\n` };
    }
    return this.#content;
  }
}

/** The most common passwords, in lower case: what is tried first (ASVS 6.2.4). */
export const COMMON_PASSWORDS: CommonPasswords = new PasswordLines(() =>
  (JSON.parse(readFileSync(LIST, 'utf8')) as string[]).map((password) => password.toLowerCase()),
);
