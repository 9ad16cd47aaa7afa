import { describe, expect, it } from 'vitest';
import { ELEMENTS, type Element } from './elements.ts';

const FIELDS = ELEMENTS.filter(({ kind }) => kind === 'field');
const MESSAGES = new Map(ELEMENTS.filter(({ kind }) => kind === 'message').map((message) => [message.fullName, message]));

const parentOf = ({ fullName, name }: Element) => fullName.slice(0, -name.length - 1);
const fieldsOf = (message: string) => FIELDS.filter((field) => parentOf(field) === message);

/** The messages that are sent by callers: the requests, and all within them. */
function requested(): Set<string> {
  const found = new Set<string>();
  const add = (message: string) => {
    if (!MESSAGES.has(message) || found.has(message)) return;
    found.add(message);
    for (const { type } of fieldsOf(message)) add(type);
  };
  for (const { type } of ELEMENTS.filter(({ kind }) => kind === 'rpc')) add(type);
  return found;
}

type Field = Pick<Element, 'comment' | 'behaviors'>;

interface Rule {
  readonly behavior: string;
  /** Whether the prose says it of the field. */
  readonly saidOf: (field: Field, ofMessage: string) => boolean;
  /** Comment of a field and of its message. */
  readonly examples: readonly (readonly [comment: string, ofMessage: string])[];
}

const RULES: readonly Rule[] = [
  {
    behavior: 'REQUIRED',
    saidOf: ({ comment }) => /\bRequired\./.test(comment),
    examples: [['UUID of the user. Required.', '']],
  },
  {
    behavior: 'OUTPUT_ONLY',
    saidOf: ({ comment }, ofMessage) => /\bThe server sets it\b/.test(comment) || /\bThe server sets every field\b/.test(ofMessage),
    examples: [
      ['Names of the roles, sorted. The server sets it; AssignRole changes it.', ''],
      ['Moment of the sign-in.', 'Session is one signed-in device. The server sets every field.'],
    ],
  },
  {
    behavior: 'IMMUTABLE',
    saidOf: ({ comment }) => /\bcannot be changed\b/i.test(comment),
    examples: [['Purpose of the key. It cannot be changed.', '']],
  },
];

/** What is said and not annotated, or annotated and not said. */
function contradicts({ behavior, saidOf }: Rule, field: Field, ofMessage: string): boolean {
  return saidOf(field, ofMessage) !== field.behaviors.includes(behavior);
}

describe.each(RULES)('$behavior', (rule) => {
  const { behavior, examples } = rule;

  // A oneof has no options: of its fields one is required, none of them alone.
  it('is on the fields of which the comments say so, and on no others', () => {
    const wrong = FIELDS.filter((field) => contradicts(rule, field, MESSAGES.get(parentOf(field))?.comment ?? ''));
    expect(wrong.map(({ fullName }) => fullName)).toEqual([]);
  });

  it('is on some', () => expect(FIELDS.filter(({ behaviors }) => behaviors.includes(behavior)).length).toBeGreaterThan(5));

  it.each(examples)('would be missed under "%s"', (comment, ofMessage) => {
    expect(contradicts(rule, { comment, behaviors: [] }, ofMessage)).toBe(true);
    expect(contradicts(rule, { comment, behaviors: [behavior] }, ofMessage)).toBe(false);
    expect(contradicts(rule, { comment: 'Purpose of the key.', behaviors: [behavior] }, '')).toBe(true);
  });
});

describe('a field that callers send', () => {
  const sent = [...requested()].flatMap(fieldsOf).filter(({ inOneof }) => !inOneof);

  it('says what is expected of them', () => {
    expect(sent.filter(({ behaviors }) => behaviors.length === 0).map(({ fullName }) => fullName)).toEqual([]);
    expect(sent.length).toBeGreaterThan(90);
  });

  it('is not optional and something else', () => {
    const both = FIELDS.filter(({ behaviors }) => behaviors.includes('OPTIONAL') && behaviors.length > 1);
    expect(both.map(({ fullName }) => fullName)).toEqual([]);
  });

  it('is not that of an answer', () => {
    const answers = FIELDS.filter((field) => /Response$|^identity\.v1\.Tokens$/.test(parentOf(field)));
    expect(answers.filter(({ behaviors }) => behaviors.length > 0).map(({ fullName }) => fullName)).toEqual([]);
  });
});
