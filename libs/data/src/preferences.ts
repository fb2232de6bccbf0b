/** Preferences between completions of one prompt. */
import type { Said, Tools } from './messages.js';

/** Prompt and completions are texts, or all are messages. */
export interface PreferencePair {
  prompt: Said;
  chosen: Said;
  rejected: Said;
  /** By how much the chosen reward should exceed the rejected one, in reward units. */
  margin?: number;
  tools?: Tools;
}

/** K completions of one prompt. */
export interface Ranking {
  prompt: Said;
  completions: Said[];
  /** Competition ranks: 1 is the best, equal ranks are ties, and a tie uses up the ranks after it: 1, 2, 2, 4. */
  ranks: number[];
  /** Higher is better; where rewards are given, the ranks follow from them. */
  rewards?: number[];
  tools?: Tools;
}

/** Competition ranks of numbers of which the lowest is the best; only the order of the numbers matters. */
export function competitionRanks(numbers: readonly number[]): number[] {
  const ranks = new Map<number, number>();
  for (const [index, number] of numbers.toSorted((a, b) => a - b).entries())
    if (!ranks.has(number)) ranks.set(number, index + 1);
  return numbers.map((number) => ranks.get(number)!);
}
