import { z } from 'zod';
import { type FieldViolation, invalidFields } from './errors.ts';

/** U+0000 is refused by PostgreSQL; the others have no business in a name and forge log lines, as Unicode's own line breaks do. */
const CONTROL_CHARACTERS = /[\p{Cc}\p{Zl}\p{Zp}]/u;
const CONTROL_BUT_LINE_BREAKS = /(?![\n\r])\p{Cc}/u;

const withoutControl = (value: string) => !CONTROL_CHARACTERS.test(value);

/** Text of one line, at most `max` characters (code points), trimmed. */
export const line = (max: number) =>
  z
    .string()
    .trim()
    .refine(withoutControl, 'must not contain control characters')
    .refine((value) => [...value].length <= max, `must have at most ${max} characters`);

/** Text that may have line breaks. */
export const multiline = (max: number) =>
  z
    .string()
    .trim()
    .refine((value) => !CONTROL_BUT_LINE_BREAKS.test(value), 'must not contain control characters')
    .refine((value) => [...value].length <= max, `must have at most ${max} characters`);

/** A UUID (RFC 9562) in the usual text form; lower-cased. */
export const uuid = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i, 'must be a UUID')
  .toLowerCase();

/** In proto3 an absent scalar is an empty one. */
export const emptyAsAbsent = <S extends z.ZodType<string, string>>(schema: S) =>
  z
    .string()
    .transform((value) => (value === '' ? undefined : value))
    .pipe(schema.optional());

/** A field that may be absent or blank, which both read as null, unless it is required. */
export function orNull<T>(schema: z.ZodType<T>, { required = false } = {}): z.ZodType<T | null, unknown> {
  return z.unknown().transform((value, context) => {
    if (value === undefined || (typeof value === 'string' && value.trim() === '')) {
      if (required) context.addIssue('is required');
      return null;
    }
    const result = schema.safeParse(value);
    for (const { message } of result.error?.issues ?? []) context.addIssue(message);
    return result.data ?? null;
  });
}

/** Checks a request; throws INVALID_ARGUMENT with every violated field. */
export function parse<S extends z.ZodType>(schema: S, request: unknown): z.output<S> {
  const result = schema.safeParse(request);
  if (result.success) return result.data;
  throw invalidFields(result.error.issues.map(toViolation));
}

function toViolation({ path, message }: z.core.$ZodIssue): FieldViolation {
  return { field: fieldPath(path), description: message };
}

/** `['userIds', 3]` → `user_ids[3]`. */
export function fieldPath(path: readonly PropertyKey[]): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index > 0 ? '.' : ''}${snakeCase(String(step))}`)).join('');
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
