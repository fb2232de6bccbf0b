/**
 * Comparisons as rankings: the rows of a micro-batch, one a completion, and a matrix that says which rows are preferred to
 * which. Losses are functions of numbers by row and of that matrix, whatever the number of completions of each comparison.
 */
import type { DataFor } from '@rlhf-streams/events';
import { type Item, type Joined, joined } from '@rlhf-streams/runs';
import { type Buffers, float32, type Specs } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { BatchShape, MicroBatch } from '../trainer/program.js';
import { type ItemResult, inItemOrder, type StepResult } from './method.js';
import { cutIntoBatches, type Limits, type Sequence } from './rows.js';

/** A comparison with a preference between completions. */
export interface Ranking {
  readonly item: Joined<'comparison'>;
  /** Completions that are in a pair, the best first. */
  readonly sequences: readonly Sequence[];
  /** Index of each sequence among the comparison's completions. */
  readonly places: readonly number[];
  /** Pairs of sequences, by their indices: the first is preferred to the second. */
  readonly pairs: readonly (readonly [preferred: number, other: number])[];
}

/**
 * Which pairs are made of a ranking: `all` that are ranked apart; `best_rest`, those of the best with every one below it;
 * `best_worst`, one pair alone, of the first that is best and the last that is worst.
 */
export type Pairing = 'all' | 'best_rest' | 'best_worst';

/**
 * The comparisons that have a pair. Ties are left out, and so are completions against themselves: their gradient is 0,
 * but AdamW would scale up its rounding errors to whole steps.
 */
export function rankingsOf(items: readonly Item[], pairing: Pairing): Ranking[] {
  return joined(items, 'comparison').flatMap((item) => {
    const ranking = rankingOf(item, pairing);
    return ranking.pairs.length > 0 ? [ranking] : [];
  });
}

function rankingOf(item: Joined<'comparison'>, pairing: Pairing): Ranking {
  const { promptTokens, completions, ranks } = item.comparison;
  const pairs = pairings[pairing](ranks).filter(
    ([a, b]) => !sameTokens(completions[a]!.tokens, completions[b]!.tokens),
  );
  const paired = new Set(pairs.flat());
  const places = [...completions.keys()]
    .filter((place) => paired.has(place))
    .sort((a, b) => ranks[a]! - ranks[b]!);
  const rowOf = new Map(places.map((place, row) => [place, row]));
  return {
    item,
    sequences: places.map((place) => ({ promptTokens, tokens: completions[place]!.tokens })),
    places,
    pairs: pairs.map(([a, b]) => [rowOf.get(a)!, rowOf.get(b)!]),
  };
}

type Ranks = DataFor<'comparison.recorded'>['ranks'];

/** Pairs of places that are ranked apart, the better one first. */
const pairings: Record<Pairing, (ranks: Ranks) => (readonly [number, number])[]> = {
  all: (ranks) =>
    ranks.flatMap((better, a) => ranks.flatMap((worse, b) => (better < worse ? [[a, b] as const] : []))),
  best_rest: (ranks) => {
    const best = Math.min(...ranks);
    return pairings.all(ranks).filter(([a]) => ranks[a] === best);
  },
  best_worst: (ranks) => {
    const [best, worst] = [Math.min(...ranks), Math.max(...ranks)];
    return best === worst ? [] : [[ranks.indexOf(best), ranks.lastIndexOf(worst)]];
  },
};

const sameTokens = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((token, t) => token === b[t]);

export const sequencesOf = (rankings: readonly Ranking[]): Sequence[] =>
  rankings.flatMap(({ sequences }) => sequences);

/** The number of pairs. */
export const pairCount = (rankings: readonly Ranking[]): number =>
  rankings.reduce((count, { pairs }) => count + pairs.length, 0);

/** Rankings cut into micro-batches, none of which splits a comparison, each laid out by `layOut`. */
export function rankingBatches(
  rankings: readonly Ranking[],
  limits: Limits,
  layOut: (group: readonly Ranking[], shape: BatchShape) => MicroBatch,
) {
  return { rankings, ...cutIntoBatches(rankings, limits, ({ sequences }) => sequences, layOut) };
}

/** The input that `preferences` fills. */
export const preferenceInputs = ({ rows }: BatchShape): Specs => ({ prefers: float32(rows, rows) });

/**
 * `prefers` [rows, rows]: the weight of "row i is preferred to row j", 0 for none. The pairs of a comparison share a weight
 * of 1, so that each comparison counts as much as any other (Ouyang et al. 2022, equation 1).
 */
export function preferences(rankings: readonly Ranking[], { rows }: BatchShape): { prefers: Float32Array } {
  const prefers = new Float32Array(rows * rows);
  let first = 0;
  for (const { sequences, pairs } of rankings) {
    for (const [a, b] of pairs) prefers[(first + a) * rows + first + b] = 1 / pairs.length;
    first += sequences.length;
  }
  return { prefers };
}

/** The inputs that `bestRows` fills. */
export const bestInputs = ({ rows }: BatchShape): Specs => ({
  best: float32(rows),
  rivals: float32(rows, rows),
});

/**
 * `best` [rows]: the share of each row in being the best of its comparison, 0 for any other; `rivals` [rows, rows]: 1 for the
 * other rows of a comparison, but for those of the same tokens, of which neither is chosen over the other.
 */
export function bestRows(rankings: readonly Ranking[], { rows }: BatchShape) {
  const best = new Float32Array(rows);
  const rivals = new Float32Array(rows * rows);
  let first = 0;
  for (const { sequences, ...ranking } of rankings) {
    const shares = sharesOfBest(ranking);
    sequences.forEach(({ tokens }, a) => {
      best[first + a] = shares[a]!;
      sequences.forEach((other, b) => {
        if (!sameTokens(tokens, other.tokens)) rivals[(first + a) * rows + first + b] = 1;
      });
    });
    first += sequences.length;
  }
  return { best, rivals };
}

/** The share of each sequence of a ranking in being its best: several that tie for it share 1. */
export function sharesOfBest({ item, places }: Pick<Ranking, 'item' | 'places'>): number[] {
  const ranks = places.map((place) => item.comparison.ranks[place]!);
  const best = Math.min(...ranks);
  const ties = ranks.filter((rank) => rank === best).length;
  return ranks.map((rank) => (rank === best ? 1 / ties : 0));
}

/** Numbers by row as those of the preferred row [rows, 1], and of the other [1, rows]: against each other they are a matrix. */
export const eachAgainstEach = (x: tf.Tensor): readonly [preferred: tf.Tensor2D, other: tf.Tensor2D] => [
  tf.reshape(x, [-1, 1]),
  tf.reshape(x, [1, -1]),
];

/**
 * Results by item, in the order of the step's items: the numbers of a comparison's completions, and the mean margin over its
 * pairs.
 * @param outputs of each group's program
 * @param from name of the output that has a number for each row
 * @param to what results call the numbers
 */
export const rankingResults = (
  groups: readonly (readonly Ranking[])[],
  outputs: readonly Buffers[],
  items: readonly Item[],
  { from, to }: { readonly from: string; readonly to: string },
): ItemResult[] =>
  inItemOrder(
    groups.flatMap((group, i) => {
      let row = 0;
      return group.map((ranking) => {
        const own = ranking.sequences.map(() => outputs[i]![from]![row++]!);
        return { item: ranking.item.id, [to]: byCompletion(own, ranking), margin: meanMargin(own, ranking) };
      });
    }),
    items,
  );

/** Numbers of a ranking's sequences in the order of the comparison's completions; NaN for one that is in no pair. */
function byCompletion(numbers: readonly number[], { item, places }: Ranking): number[] {
  const all = item.comparison.completions.map(() => Number.NaN);
  numbers.forEach((value, row) => {
    all[places[row]!] = value;
  });
  return all;
}

/** The mean of the preferred completion's number less the other's over the pairs of a ranking. */
const meanMargin = (numbers: readonly number[], { pairs }: Ranking): number =>
  pairs.reduce((sum, [a, b]) => sum + numbers[a]! - numbers[b]!, 0) / pairs.length;

/** The numbers that a program gave for sequences, filler left out. */
export const withoutFiller = (
  groups: readonly (readonly Ranking[])[],
  outputs: readonly Buffers[],
  name: string,
): Buffers[string][] => groups.map((group, i) => outputs[i]![name]!.subarray(0, sequencesOf(group).length));

/** A step without a pair changes no weight and no moment, and is no update of the optimizer. */
export const nothingLearned = (carry: StepResult['carry']): StepResult => ({
  metrics: { pairs: 0 },
  carry,
});
