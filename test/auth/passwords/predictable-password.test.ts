import { describe, expect, it } from 'vitest';
import { isPredictable } from '../../../src/auth/passwords/predictable-password.ts';

describe('a predictable password', () => {
  it.each([
    ['one character', ['aaaaaaaa', '00000000', '        ', '🔑🔑🔑🔑🔑🔑🔑🔑', 'z'.repeat(64)]],
    ['a short unit again and again', ['abcabcabc', '12341234', 'xyxyxyxy', 'g7kqg7kqg7', '5a5a5a5a5a5a']],
    ['digits up or down', ['12345678', '987654321', '0987654321', '45678901']],
    ['the alphabet up or down', ['abcdefgh', 'hijklmnopq', 'zyxwvuts']],
    ['a row of keys', ['qwertyuiop', 'poiuytrewq', 'asdfghjkl', 'zxcvbnm,.', 'qwertzuiop', 'yxcvbnm,.-', 'azertyuiop', '!@#$%^&*']],
    ['columns of keys', ['1qaz2wsx', '1qay2wsx3edc', '2wsx4rfv6yhn']],
    ['a few such pieces', ['aaaabbbb', 'abcd1234', '12345qwert', 'abc123xyz', 'qwertyuiop1', '111222333444', 'asdfjklasdf']],
  ])('is %s', (_, passwords) => {
    for (const password of passwords) expect([password, isPredictable(password)]).toEqual([password, true]);
  });

  it.each([
    'correct horse battery',
    'tr0ub4dor&3',
    'abcxk7qm',
    '1234 is not enough',
    'qwert-halma-77',
    'mississippi',
    'key 🔑🔑🔑🔑',
    'a',
    '',
  ])('is not %j', (password) => {
    expect(isPredictable(password)).toBe(false);
  });
});
