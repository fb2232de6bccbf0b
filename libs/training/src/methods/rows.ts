/** Lays sequences out as the rectangular arrays of micro-batches. */
import { float32, int32 } from '@rlhf-streams/tensor';
import type { MicroBatch } from '../trainer/program.js';

/** A prompt and what follows it. */
export interface Sequence {
  readonly promptTokens: readonly number[];
  readonly tokens: readonly number[];
}

export const lengthOf = ({ promptTokens, tokens }: Sequence): number => promptTokens.length + tokens.length;

export const tokenCount = (sequences: readonly Sequence[]): number =>
  sequences.reduce((count, { tokens }) => count + tokens.length, 0);

/** Cuts items into micro-batches of `rows`, sorted by length for less padding; the order depends on the items alone. */
export function microBatchesOf<T>(items: readonly T[], rows: number, length: (item: T) => number): T[][] {
  const sorted = items.toSorted((a, b) => length(a) - length(b));
  return Array.from({ length: Math.ceil(sorted.length / rows) }, (_, i) =>
    sorted.slice(i * rows, (i + 1) * rows),
  );
}

/**
 * The number of rows that a group of items is padded to: a power of two, so that few programs are compiled, and at most the
 * run's micro-batch, so that a small group costs little.
 */
export const paddedRows = (items: number, microBatchSize: number): number =>
  Math.min(microBatchSize, 2 ** Math.ceil(Math.log2(items)));

/** Padded lengths are multiples of this, which balances programs to compile against padding to compute. */
const BUCKET = 8;

/** Length to which a group of sequences is padded, at most the context. */
export const paddedLength = (sequences: readonly Sequence[], contextLength: number): number =>
  Math.min(contextLength, Math.ceil(Math.max(2, ...sequences.map(lengthOf)) / BUCKET) * BUCKET);

/**
 * Right-padded sequences as ids [rows, T] and a mask [rows, T - 1] over predictions: the one at t scores token t + 1,
 * and is 1 for completion tokens. Rows beyond the sequences are filler, masked out. `more` holds further numbers per
 * completion token, each laid out like the mask.
 */
export function sequenceBatch(
  sequences: readonly Sequence[],
  { rows, T }: { rows: number; T: number },
  more: Readonly<Record<string, readonly ArrayLike<number>[]>> = {},
): MicroBatch {
  const ids = new Int32Array(rows * T);
  const mask = new Float32Array(rows * (T - 1));
  const perToken = Object.fromEntries(
    Object.keys(more).map((name) => [name, new Float32Array(rows * (T - 1))]),
  );
  sequences.forEach(({ promptTokens, tokens }, row) => {
    ids.set(promptTokens, row * T);
    ids.set(tokens, row * T + promptTokens.length);
    // A text without a prompt has no prediction for its first token.
    const skipped = promptTokens.length === 0 ? 1 : 0;
    const first = row * (T - 1) + promptTokens.length - 1 + skipped;
    mask.fill(1, first, first + tokens.length - skipped);
    for (const [name, values] of Object.entries(more)) perToken[name]!.set(values[row]!, first);
  });
  const predictions = float32(rows, T - 1);
  return {
    specs: {
      ids: int32(rows, T),
      mask: predictions,
      ...Object.fromEntries(Object.keys(more).map((name) => [name, predictions])),
    },
    buffers: { ids, mask, ...perToken },
  };
}

/** The numbers of a sequence's completion tokens in a row laid out like the mask. */
export function completionPart(
  values: ArrayLike<number>,
  row: number,
  T: number,
  { promptTokens, tokens }: Sequence,
): Float32Array {
  const first = row * (T - 1) + promptTokens.length - 1;
  return Float32Array.from({ length: tokens.length }, (_, t) => values[first + t]!);
}
