/** Comparisons as pairs of a chosen and a rejected completion. */
import type { DataFor } from '@rlhf-streams/events';
import { type Item, type Joined, joined } from '@rlhf-streams/runs';
import type { Buffers } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { BatchShape, MicroBatch } from '../trainer/program.js';
import { type ItemResult, inItemOrder, type StepResult } from './method.js';
import { type Limits, microBatchesOf, type Sequence, shapeOf } from './rows.js';

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

/** The rows of a pair: the chosen completion, and the rejected one below it. */
export const rowsOf = ({ chosen, rejected }: Pair): readonly Sequence[] => [chosen, rejected];

/** Pairs cut into micro-batches, none of which splits a pair, each laid out by `layOut`. */
export function pairBatches(
  pairs: readonly Pair[],
  limits: Limits,
  layOut: (group: readonly Pair[], shape: BatchShape) => MicroBatch,
) {
  const groups = microBatchesOf(pairs, limits.microBatchSize, rowsOf);
  const batches = groups.map((group) => layOut(group, shapeOf(group.flatMap(rowsOf), limits)));
  return { pairs, groups, batches };
}

/**
 * Results by item of the micro-batches of pairs, in the order of the step's items.
 * @param outputs of each micro-batch, with `chosen` and `rejected` [pairs]
 */
export const pairResults = (
  groups: readonly (readonly Pair[])[],
  outputs: readonly Buffers[],
  items: readonly Item[],
  resultOf: (chosen: number, rejected: number) => Omit<ItemResult, 'item'>,
): ItemResult[] =>
  inItemOrder(
    groups.flatMap((group, i) =>
      group.map(({ item }, pair) => ({
        item: item.id,
        ...resultOf(outputs[i]!.chosen![pair]!, outputs[i]!.rejected![pair]!),
      })),
    ),
    items,
  );

/** How many pairs a number of rows holds. */
export const pairCount = (rows: number): number => Math.floor(rows / 2);

/** Mask [pairs]: 1 for pairs, 0 for filler. */
export const pairMask = (pairs: readonly Pair[], rows: number): Float32Array =>
  new Float32Array(pairCount(rows)).fill(1, 0, pairs.length);

/** Numbers [rows] as those of the chosen and of the rejected completions, [pairs] each. */
export function chosenAndRejected(x: tf.Tensor): readonly [tf.Tensor1D, tf.Tensor1D] {
  const pairs = pairCount(x.shape[0]!);
  const both = tf.reshape(tf.slice(x, [0], [2 * pairs]), [pairs, 2]);
  const side = (column: 0 | 1) => tf.reshape(tf.slice(both, [0, column], [pairs, 1]), [pairs]) as tf.Tensor1D;
  return [side(0), side(1)];
}

/** A step without a pair changes no weight and no moment, and is no update of the optimizer. */
export const nothingLearned = (carry: StepResult['carry']): StepResult => ({
  metrics: { pairs: 0 },
  carry,
});
