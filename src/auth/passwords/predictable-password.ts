/** Characters that follow each other: digits, the alphabet, and what lies side by side on the common layouts of keyboards. */
const SEQUENCES = [
  '01234567890',
  'abcdefghijklmnopqrstuvwxyz',
  // QWERTY, QWERTZ and AZERTY, row by row.
  '`1234567890-=',
  '!@#$%^&*()_+',
  'qwertyuiop[]',
  "asdfghjkl;'",
  'zxcvbnm,./',
  'qwertzuiopü+',
  'asdfghjklöä#',
  'yxcvbnm,.-',
  'azertyuiop',
  'qsdfghjklmù',
  'wxcvbn,;:!',
  // The columns of QWERTY and QWERTZ.
  ...['1qaz', '2wsx', '3edc', '4rfv', '5tgb', '6yhn', '6zhn', '7ujm', '8ik,', '9ol.', '0p;/', '1qay'],
];

/** A unit of so many characters is no word, but a rhythm of the fingers. */
const MAX_UNIT = 4;

/** Of so many characters, on average, are the pieces of what nobody has thought about. By chance, hardly any piece has two. */
const MIN_PIECE = 3;

/** Longer ones are tried by nobody: there are too many lengths. */
const MAX_LENGTH = 64;

const pairsOf = (sequence: string) => Array.from(sequence.slice(1), (next, index) => `${sequence[index]}${next}`);
const UP: ReadonlySet<string> = new Set(SEQUENCES.flatMap(pairsOf));
const DOWN: ReadonlySet<string> = new Set(SEQUENCES.map((sequence) => [...sequence].reverse().join('')).flatMap(pairsOf));

const STEPS: readonly ((one: string, next: string) => boolean)[] = [
  (one, next) => UP.has(one + next),
  (one, next) => DOWN.has(one + next),
  (one, next) => one === next,
];

/**
 * Tells whether a password, in lower case, is what fingers do by themselves: a short unit again and again (`12341234`), or a few pieces of one
 * character or of characters in a row (`aaaabbbb`, `987654321`, `qwertzuiop`). No list has all of these (NIST SP 800-63B §3.1.1.2 names
 * repetitive and sequential characters).
 */
export function isPredictable(password: string): boolean {
  const characters = [...password];
  if (characters.length === 0 || characters.length > MAX_LENGTH) return false;
  return isRepeated(characters) || piecesOf(characters) * MIN_PIECE <= characters.length;
}

function isRepeated(characters: readonly string[]): boolean {
  const units = Array.from({ length: MAX_UNIT }, (_, index) => index + 1);
  return units.some((unit) => characters.length >= 2 * unit && characters.every((one, at) => at < unit || one === characters[at - unit]));
}

/** The number of pieces in which each character follows the one before in the same way. */
function piecesOf(characters: readonly string[]): number {
  let pieces = 0;
  for (let begin = 0; begin < characters.length; begin += pieceAt(characters, begin)) pieces++;
  return pieces;
}

/** The length of the longest piece that begins there. */
function pieceAt(characters: readonly string[], begin: number): number {
  return Math.max(...STEPS.map((follows) => lengthOf(characters, begin, follows)));
}

function lengthOf(characters: readonly string[], begin: number, follows: (one: string, next: string) => boolean): number {
  let end = begin + 1;
  while (end < characters.length && follows(characters[end - 1] as string, characters[end] as string)) end++;
  return end - begin;
}
