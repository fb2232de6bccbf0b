/** Text as L2-normalised counts of lower-cased words: what the gold reward looks at. */

/** A word of a text, how often it occurs, and its normalised count: count / sqrt(sum of squared counts). */
export interface WordCount {
  readonly word: string;
  readonly count: number;
  readonly value: number;
}

const WORD = /[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu;

/**
 * Counted words of a text in order of first appearance: lower-cased runs of letters and digits, joined across an
 * inner apostrophe or hyphen. The values' squares sum to 1 (no words: an empty list), so that a long text weighs no
 * more than a short one.
 */
export function wordCounts(text: string): WordCount[] {
  const counts = new Map<string, number>();
  for (const word of text.toLowerCase().match(WORD) ?? []) counts.set(word, (counts.get(word) ?? 0) + 1);
  let squares = 0;
  for (const count of counts.values()) squares += count * count;
  const norm = Math.sqrt(squares);
  return Array.from(counts, ([word, count]) => ({ word, count, value: count / norm }));
}
