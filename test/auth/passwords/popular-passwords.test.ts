import ranked from '@zxcvbn-ts/language-common/src/passwords.json' with { type: 'json' };
import { describe, expect, it } from 'vitest';
import { COMMON_PASSWORDS, PasswordLines } from '../../../src/auth/passwords/popular-passwords.ts';

describe('a list of passwords', () => {
  const list = new PasswordLines(() => ['dragon', 'correct horse', 'dragon', 'last"one\\']);

  it.each(['dragon', 'correct horse', 'last"one\\'])('has %j', (password) => {
    expect(list.has(password)).toBe(true);
  });

  it.each(['', 'drag', 'agon', 'Dragon', 'correct', 'dragon\ncorrect horse', '\n', '\ndragon\n'])('has not %j', (password) => {
    expect(list.has(password)).toBe(false);
  });

  it('counts each one once', () => {
    expect(list.size).toBe(3);
  });
});

describe('the most common passwords', () => {
  it.each(['123456', 'password', 'qwertyuiop'])('hold %s', (password) => {
    expect(COMMON_PASSWORDS.has(password)).toBe(true);
  });
});

describe('the 3,000 most common passwords of at least 8 characters, as somebody else ranks them', () => {
  const mostCommon = ranked.filter((password) => password.length >= 8).slice(0, 3000);

  it('are all refused', () => {
    expect(mostCommon).toHaveLength(3000);
    expect(mostCommon.filter((password) => !COMMON_PASSWORDS.has(password))).toEqual([]);
  });
});
