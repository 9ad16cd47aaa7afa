// The one file of the package that is needed: all of it would take 24 MB and 27 ms, instead of 9 MB and 10 ms.
import passwords from '@zxcvbn-ts/language-common/src/passwords.json' with { type: 'json' };

/** The most common passwords, in lower case: what is tried first (ASVS 6.2.4). */
export const COMMON_PASSWORDS: ReadonlySet<string> = new Set(passwords.map((password) => password.toLowerCase()));
