/** The one of the words that takes the fewest changes of single characters (Levenshtein) to become this one. */
export function nearestTo(word: string, words: Iterable<string>): string | undefined {
  return [...words].map((other) => ({ other, distance: distanceOf(word, other) })).sort((a, b) => a.distance - b.distance)[0]?.other;
}

/** The number of changes of single characters that make the one word of the other. */
export function distanceOf(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [line, character] of [...one].entries()) {
    const next = [line + 1];
    for (const [column, above] of row.slice(1).entries()) {
      const changed = (row[column] as number) + (other[column] === character ? 0 : 1);
      next.push(Math.min(changed, above + 1, (next[column] as number) + 1));
    }
    row = next;
  }
  return row[other.length] as number;
}
