import { z } from 'zod';

/** The variables of a room, by name. An empty one counts as absent before it comes here. */
export type Variables = Readonly<Record<string, z.ZodType>>;

/** The values that variables have once each of them is right. */
export type ValuesOf<V extends Variables> = z.output<z.ZodObject<V>>;

/** A rule between variables, each of which may be right by itself. The problem is one of the variable that is named. */
export interface Rule<Values> {
  readonly variable: string;
  readonly problem: string;
  /** Also asked where a variable is wrong by itself, whose value is then anything: that must break no rule. */
  readonly holds: (values: Values) => boolean;
}

/** Decimal digits only; of a negative number the limit is told. */
export const wholeNumber = (min: number, max: number, otherwise = 'must be a whole number') =>
  z
    .string()
    .regex(/^(\d+|-[1-9]\d*)$/, otherwise)
    .transform(Number)
    .pipe(z.number().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`));

/** A whole number that has a default. */
export const integer = (fallback: number, min: number, max: number) => wholeNumber(min, max).default(fallback);

export const trueOrFalse = z.enum(['true', 'false'], { error: 'must be true or false' }).transform((value) => value === 'true');

/** Off unless it is true. */
export const flag = trueOrFalse.default(false);

/** Separated by commas; spaces around an item, and empty items, do not count. */
export const list = z
  .string()
  .default('')
  .transform((value) =>
    value
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean),
  );

export const oneOf = <const T extends readonly string[]>(values: T) => z.enum(values, { error: `must be one of ${values.join(', ')}` });

/** For the items of a list. */
export const someOf = <const T extends readonly string[]>(values: T) =>
  z.array(z.enum(values, { error: `must be some of ${values.join(', ')}` }));

/** A URL of one of the schemes, the preferred one first. */
export const url = (...schemes: string[]) =>
  z
    .string()
    .refine(
      (given) => URL.canParse(given) && schemes.includes(new URL(given).protocol.slice(0, -1)),
      `must begin with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
    );

export const webUrl = url('https', 'http');
