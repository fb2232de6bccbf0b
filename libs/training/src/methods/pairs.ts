/** Comparisons as pairs of a chosen and a rejected completion. */
import type { DataFor } from '@rlhf-streams/events';
import { type Item, type Joined, joined } from '@rlhf-streams/runs';
import type { Carry, Metrics } from './method.js';
import { lengthOf, type Sequence } from './rows.js';

export interface Pair {
  readonly chosen: Sequence;
  readonly rejected: Sequence;
  /** Indices of the two among the comparison's completions. */
  readonly places: readonly [chosen: number, rejected: number];
  readonly margin: number;
  readonly item: Item;
}

/**
 * The best completion of each comparison against its worst. Ties are left out, and so are completions against themselves:
 * their gradient is 0, but AdamW would scale up its rounding errors to whole steps.
 */
export function pairsOf(items: readonly Item[]): Pair[] {
  return joined(items, 'comparison').flatMap((item) => pairOf(item) ?? []);
}

function pairOf(item: Joined<'comparison'>): Pair | undefined {
  const { comparison } = item;
  const best = comparison.ranks.indexOf(Math.min(...comparison.ranks));
  const worst = comparison.ranks.lastIndexOf(Math.max(...comparison.ranks));
  if (comparison.ranks[best] === comparison.ranks[worst]) return undefined;
  const [chosen, rejected] = [sequence(comparison, best), sequence(comparison, worst)];
  if (sameTokens(chosen.tokens, rejected.tokens)) return undefined;
  return {
    chosen,
    rejected,
    places: [best, worst],
    margin: comparison.margin ?? 0,
    item,
  };
}

const sequence = (
  { promptTokens, completions }: DataFor<'comparison.recorded'>,
  place: number,
): Sequence => ({
  promptTokens,
  tokens: completions[place]!.tokens,
});

const sameTokens = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((token, t) => token === b[t]);

export const pairLength = ({ chosen, rejected }: Pair): number =>
  Math.max(lengthOf(chosen), lengthOf(rejected));

/** Chosen sequences in the first half of the rows, rejected ones in the second, filler at the end of each. */
export function stack<T>(
  pairs: readonly Pair[],
  rows: number,
  of: (pair: Pair, side: 'chosen' | 'rejected') => T,
  filler: T,
): T[] {
  const side = (name: 'chosen' | 'rejected') =>
    Array.from({ length: rows }, (_, i) => (pairs[i] ? of(pairs[i], name) : filler));
  return [...side('chosen'), ...side('rejected')];
}

/** A row without tokens: it is masked out everywhere. */
export const FILLER: Sequence = { promptTokens: [0], tokens: [] };

/** Mask [rows]: 1 for pairs, 0 for filler. */
export const pairMask = (pairs: readonly Pair[], rows: number): Float32Array =>
  Float32Array.from({ length: rows }, (_, i) => (i < pairs.length ? 1 : 0));

/** A step without a pair changes no weight and no moment, and is no update of the optimizer. */
export const nothingLearned = (carry: Carry): { metrics: Metrics; carry: Carry } => ({
  metrics: { pairs: 0 },
  carry,
});
