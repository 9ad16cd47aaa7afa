import { describe, expect, it } from 'vitest';
import { brokenRules, type PersonalData } from '../../../src/auth/passwords/password-policy.ts';
import { isPredictable } from '../../../src/auth/passwords/predictable-password.ts';

const RULES = { minLength: 8, common: new Set(['password', '12345678', 'sunshine']), serviceName: 'Identity', isPredictable };

const ADA: PersonalData = {
  email: 'ada.lovelace@engines.example',
  username: 'enchantress',
  names: ['Ada', 'Lovelace', 'Augusta Ada King'],
};

const broken = (password: string, about: readonly PersonalData[] = []) => brokenRules(password, RULES, about).map(({ rule }) => rule);

describe('a new password', () => {
  it.each([
    ['8 chars!', []],
    ['7 chars', ['too_short']],
    // Seven characters, although they are fourteen UTF-16 units.
    ['🔑'.repeat(7), ['too_short']],
    ['🔑🔒🔓🗝🚪🏠🧱🪟', []],
    ['🔑'.repeat(8), ['common']],
    ['', ['too_short']],
    ['🔑'.repeat(256), []],
    [`${'🔑'.repeat(256)}!`, ['too_long']],
    ['password', ['common']],
    ['PassWord', ['common']],
    ['ｐａｓｓｗｏｒｄ', ['common']],
    ['password of mine', []],
    ['identity', ['personal']],
    ['1d3nt1ty!', ['personal']],
    ['Id', ['too_short']],
    ['a case of stolen identity', []],
  ])('%j breaks %j', (password, rules) => {
    expect(broken(password)).toEqual(rules);
  });

  it('is told every rule that it breaks', () => {
    const about = [{ names: ['Word'] }];
    expect(broken('password', about)).toEqual(['common', 'personal']);
    expect(brokenRules('word', { ...RULES, common: new Set(['word']) }, about).map(({ rule }) => rule)).toEqual([
      'too_short',
      'common',
      'personal',
    ]);
  });

  it.each([
    'ada.lovelace@engines.example',
    'ADA.LOVELACE@ENGINES.EXAMPLE',
    'ada.lovelace',
    'adalovelace1815',
    'Lovelace1815',
    '1815lovelace',
    'LovelaceAda18',
    'AdaLovelaceKing1',
    'l0v3l4c3!!!!',
    'L-o-v-e-l-a-c-e',
    'Lòvelåce99',
    'ｌｏｖｅｌａｃｅ１２',
    'lovelace lovelace',
    'lovelace12345678',
    'lovelaceSunshine',
    '!!!Enchantress!!!',
    '3nch4ntr3ss2024',
    'august@ada1',
    'engines.example',
    'engines1843',
    'lovelace🔑🔑🔑🔑🔑🔑🔑🔑',
  ])('must not be built from what is known of its user: %s', (password) => {
    expect(broken(password, [ADA])).toEqual(['personal']);
    expect(broken(password, [{}, ADA])).toEqual(['personal']);
    expect(broken(password, [{ email: 'grace@navy.test', username: 'amazing', names: ['Grace', 'Hopper'] }])).not.toContain('personal');
  });

  it.each([
    'correct horse battery staple',
    'lovelace wrote the first programme',
    'the enchantress of numbers',
    'Ada liked steam engines a lot',
    'ada adores adagios',
    'kings and queens',
    'Tr0ub4dor&3',
    'xK29vQ-lovelace',
    'ёлки-палки, лес густой',
  ])('may hold a name among other things: %s', (password) => {
    expect(broken(password, [ADA])).toEqual([]);
  });

  it('may hold short names', () => {
    const about = [{ email: 'a.b@c.de', username: 'bob', names: ['Bo', 'Li', '', '   '] }];
    for (const password of ['bobsleigh', 'libobo12', 'correct horse battery staple']) expect(broken(password, about)).toEqual([]);
  });

  it.each([
    [['Владимир'], 'владимир1990'],
    [['Jürgen'], 'jurgen1990'],
    [['Μαρία'], 'ΜΑΡΙΑ1234'],
    [['Łukasz'], 'łukasz12'],
    [['İbrahim'], 'ibrahim12'],
  ])('knows names that are not in ASCII: %j', (names, password) => {
    expect(broken(password, [{ names }])).toEqual(['personal']);
  });

  it('is judged without regard to the signs of patterns', () => {
    expect(broken('$& (a+)+ []', [{ email: '$&@(a+)+', names: ['.*', '(a+)+$', '\\'] }])).toEqual([]);
  });
});
