/** Lays sequences out as micro-batches: which are computed together, in which shapes, and where their tokens stand. */
import { type Buffers, float32, int32, type Specs } from '@rlhf-streams/tensor';
import type { BatchShape, MicroBatch } from '../trainer/program.js';

/** A prompt and what follows it. */
export interface Sequence {
  readonly promptTokens: readonly number[];
  readonly tokens: readonly number[];
  /** The stretches of `tokens` that are predicted, in their order. Default: all of them. */
  readonly learned?: readonly Stretch[] | undefined;
}

interface Stretch {
  readonly from: number;
  readonly count: number;
}

export const lengthOf = ({ promptTokens, tokens }: Sequence): number => promptTokens.length + tokens.length;

/** Stretches of `tokens` that something comes before: the first token of a text without a prompt is not predicted. */
function predictedStretches({ promptTokens, tokens, learned }: Sequence): readonly Stretch[] {
  const stretches = learned ?? [{ from: 0, count: tokens.length }];
  if (promptTokens.length > 0) return stretches;
  return stretches.map((stretch) => (stretch.from > 0 ? stretch : { from: 1, count: stretch.count - 1 }));
}

/** The tokens that are predicted. */
export const predictedTokens = (sequence: Sequence): readonly number[] =>
  predictedStretches(sequence).flatMap(({ from, count }) => sequence.tokens.slice(from, from + count));

/** The number of tokens that are predicted. */
export const tokenCount = (sequences: readonly Sequence[]): number =>
  sequences.reduce((count, sequence) => count + predictedCount(sequence), 0);

const predictedCount = (sequence: Sequence): number =>
  predictedStretches(sequence).reduce((sum, { count }) => sum + count, 0);

export interface Limits {
  /** Sequences computed at once, at most. */
  readonly microBatchSize: number;
  /** Tokens computed at once, padding included, at most. Default: no limit. */
  readonly microBatchTokens?: number | undefined;
  readonly contextLength: number;
}

/**
 * Cuts groups of sequences into micro-batches within the limits, sorted by length for less padding. A group is never split,
 * and a larger one is a micro-batch by itself. The order depends on the groups alone.
 * @param of the sequences of a group
 * @internal
 */
export function microBatchesOf<T>(
  groups: readonly T[],
  limits: Limits,
  of: (group: T) => readonly Sequence[],
): T[][] {
  const longest = (group: T) => Math.max(...of(group).map(lengthOf));
  const sorted = groups.toSorted((a, b) => longest(a) - longest(b));
  const { microBatchSize: rows, microBatchTokens } = limits;
  if (microBatchTokens !== undefined) return leastPadded(sorted, limits, of);
  const batches: T[][] = [];
  let taken = rows;
  for (const group of sorted) {
    const { length } = of(group);
    if (taken + length > rows) {
      batches.push([]);
      taken = 0;
    }
    batches.at(-1)!.push(group);
    taken += length;
  }
  return batches;
}

/** What a micro-batch costs beside its tokens, in tokens, however many it may have: else many small ones would be best. */
const OVERHEAD_TOKENS = 32;

/** The cuts between groups, sorted by length, for which tokens, with their padding, and micro-batches are fewest together. */
function leastPadded<T>(sorted: readonly T[], limits: Limits, of: (group: T) => readonly Sequence[]): T[][] {
  const sizes = sorted.map((group) => of(group).length);
  const lengths = sorted.map((group) => paddedLengthOf(of(group), limits));
  /** Of the first n groups: the least cost, and where their last micro-batch begins. */
  const best: { readonly cost: number; readonly from: number }[] = [{ cost: 0, from: 0 }];
  for (let end = 1; end <= sorted.length; end++) {
    const length = lengths[end - 1]!;
    let found = { cost: Number.POSITIVE_INFINITY, from: end - 1 };
    let sequences = 0;
    for (let from = end - 1; from >= 0; from--) {
      sequences += sizes[from]!;
      if (from < end - 1 && sequences > mostRows(length, limits)) break;
      const tokens = paddedRows(sequences, length, limits) * length;
      const cost = best[from]!.cost + tokens + OVERHEAD_TOKENS;
      if (cost < found.cost) found = { cost, from };
    }
    best.push(found);
  }
  const batches: T[][] = [];
  for (let end = sorted.length; end > 0; end = best[end]!.from)
    batches.unshift(sorted.slice(best[end]!.from, end));
  return batches;
}

/** The most sequences of a length, unless those of one group are more. */
const mostRows = (length: number, { microBatchSize, microBatchTokens }: Limits): number =>
  microBatchTokens === undefined
    ? microBatchSize
    : Math.max(1, Math.min(microBatchSize, Math.floor(microBatchTokens / length)));

/**
 * The rows that sequences are padded to: a power of two, so that few programs are compiled, and at most the run's
 * micro-batch, so that few sequences cost little. Only a group that is larger than the micro-batch has more. Where tokens
 * are limited, one and a half times a power of two as well.
 */
function paddedRows(sequences: number, length: number, limits: Limits): number {
  const power = 2 ** Math.ceil(Math.log2(sequences));
  const between = 0.75 * power;
  const isBetween = limits.microBatchTokens !== undefined && between >= 3 && sequences <= between;
  const padded = isBetween ? between : power;
  const most = mostRows(length, limits);
  return sequences > most ? padded : Math.min(most, padded);
}

/** Lengths are multiples of 8 up to 64, and beyond it eight between a power of two and the next. */
function paddedLength(length: number, contextLength: number): number {
  const step = Math.max(8, 2 ** (Math.floor(Math.log2(length - 1)) - 3));
  return Math.min(contextLength, Math.ceil(length / step) * step);
}

/** Predicted tokens are padded to an eighth of all tokens, or two, and so on. */
const EIGHTHS = 8;
const eighth = (rows: number, length: number): number => Math.ceil((rows * length) / EIGHTHS);
function paddedTokens(tokens: number, rows: number, length: number): number {
  const step = eighth(rows, length);
  return Math.max(1, Math.ceil(tokens / step)) * step;
}

const paddedLengthOf = (sequences: readonly Sequence[], { contextLength }: Limits): number =>
  paddedLength(Math.max(2, ...sequences.map(lengthOf)), contextLength);

/** The shape that sequences of one micro-batch are padded to. @internal */
export function shapeOf(sequences: readonly Sequence[], limits: Limits): BatchShape {
  const length = paddedLengthOf(sequences, limits);
  const rows = paddedRows(sequences.length, length, limits);
  return { rows, length, tokens: paddedTokens(tokenCount(sequences), rows, length) };
}

/**
 * Every shape that `shapeOf` gives.
 * @param limits.groupSize the most sequences of a group
 */
export function allShapes({ groupSize, ...limits }: Limits & { readonly groupSize: number }): BatchShape[] {
  const { microBatchSize, contextLength } = limits;
  const lengths = new Set<number>();
  for (let length = 2; length <= contextLength; length++) lengths.add(paddedLength(length, contextLength));
  return [...lengths].flatMap((length) => {
    const rows = new Set<number>();
    for (let n = 1; n <= Math.max(groupSize, microBatchSize); n++) rows.add(paddedRows(n, length, limits));
    return [...rows].flatMap((rows) =>
      Array.from({ length: EIGHTHS }, (_, i) => ({ rows, length, tokens: (i + 1) * eighth(rows, length) })),
    );
  });
}

/**
 * Cuts groups of sequences into micro-batches: see `microBatchesOf`.
 * @param of the sequences of a group
 * @param layOut the micro-batch of some groups, in a shape that they fit
 */
export function cutIntoBatches<T>(
  groups: readonly T[],
  limits: Limits,
  of: (group: T) => readonly Sequence[],
  layOut: (groups: readonly T[], shape: BatchShape) => MicroBatch,
): { readonly groups: readonly (readonly T[])[]; readonly batches: readonly MicroBatch[] } {
  const cut = microBatchesOf(groups, limits, of);
  const batches = cut.map((groups) => {
    const sequences = groups.flatMap(of);
    const used = sequences.reduce((sum, sequence) => sum + lengthOf(sequence), 0);
    return { ...layOut(groups, shapeOf(sequences, limits)), used };
  });
  return { groups: cut, batches };
}

/** The inputs of programs over predicted tokens: see `sequenceBatch`. `more` names further numbers by token. */
export const sequenceInputs =
  (...more: readonly string[]) =>
  ({ rows, length, tokens }: BatchShape): Specs => ({
    ids: int32(rows, length),
    at: int32(tokens),
    next: int32(tokens),
    mask: float32(tokens),
    ...Object.fromEntries(more.map((name) => [name, float32(tokens)])),
  });

/**
 * Right-padded sequences as ids [rows, length], and their predictions, sequence after sequence: `at` [tokens], the place
 * t + row * length of the token behind which each is made, `next` [tokens], the token predicted, and `mask` [tokens], 1 for
 * predictions and 0 for padding. `more` holds further numbers for each sequence's predictions.
 */
export function sequenceBatch(
  sequences: readonly Sequence[],
  shape: BatchShape,
  more: Readonly<Record<string, readonly ArrayLike<number>[]>> = {},
): MicroBatch {
  const ids = new Int32Array(shape.rows * shape.length);
  const [at, next] = [new Int32Array(shape.tokens), new Int32Array(shape.tokens)];
  const mask = new Float32Array(shape.tokens).fill(1, 0, tokenCount(sequences));
  let place = 0;
  sequences.forEach((sequence, row) => {
    const start = row * shape.length;
    const { promptTokens, tokens } = sequence;
    ids.set([...promptTokens, ...tokens], start);
    for (const { from, count } of predictedStretches(sequence))
      for (let t = from; t < from + count; t++) {
        at[place] = start + promptTokens.length + t - 1;
        next[place++] = tokens[t]!;
      }
  });
  const names = Object.keys(more);
  return {
    specs: sequenceInputs(...names)(shape),
    buffers: {
      ids,
      at,
      next,
      mask,
      ...Object.fromEntries(names.map((name) => [name, concatenated(more[name]!, shape.tokens)])),
    },
  };
}

function concatenated(rows: readonly ArrayLike<number>[], size: number): Float32Array {
  const all = new Float32Array(size);
  let place = 0;
  for (const row of rows) {
    all.set(row, place);
    place += row.length;
  }
  return all;
}

/** Sequences cut into micro-batches. */
interface SequenceBatches {
  readonly batches: readonly MicroBatch[];
  /** What a program gave for the predictions of each sequence, in the order of the sequences. */
  readonly byToken: (outputs: readonly Buffers[], name: string) => Float32Array[];
}

/** Cuts sequences, and further numbers for each one's predictions, into micro-batches: see `sequenceBatch`. */
export function sequenceBatches(
  sequences: readonly Sequence[],
  limits: Limits,
  more: Readonly<Record<string, readonly ArrayLike<number>[]>> = {},
): SequenceBatches {
  const membersOf = (group: readonly number[]) => group.map((i) => sequences[i]!);
  const { groups, batches } = cutIntoBatches(
    [...sequences.keys()],
    limits,
    (i) => [sequences[i]!],
    (group, shape) => {
      const numbers = Object.entries(more).map(([name, rows]) => [name, group.map((i) => rows[i]!)] as const);
      return sequenceBatch(membersOf(group), shape, Object.fromEntries(numbers));
    },
  );
  return {
    batches,
    byToken(outputs, name) {
      const rows: Float32Array[] = [];
      groups.forEach((group, k) => {
        bySequence(outputs[k]![name]!, membersOf(group)).forEach((row, place) => {
          rows[group[place]!] = row;
        });
      });
      return rows;
    },
  };
}

/** The numbers of each sequence's predictions, taken from an array that is laid out like the mask. @internal */
export function bySequence(values: ArrayLike<number>, sequences: readonly Sequence[]): Float32Array[] {
  let place = 0;
  return sequences.map((sequence) => {
    const length = predictedCount(sequence);
    place += length;
    return Float32Array.from({ length }, (_, t) => values[place - length + t]!);
  });
}
