/**
 * Scoring of given sequences by a frozen model: log-probs of their tokens, or a reward. A row is padded to a bucket of
 * its own length and computed in batches of a fixed size, so that its numbers do not depend on the rows beside it.
 */
import { selectiveLogSoftmax } from '@rlhf-streams/alignment';
import {
  type Buffers,
  type Engine,
  type Frozen,
  float32,
  int32,
  type Specs,
  type StatefulProgram,
  type Workspace,
} from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { architectureOf } from './architectures/index.js';
import { ModelError } from './errors.js';
import { bucket, buckets } from './generation/request.js';
import { groupBy } from './group-by.js';
import type { ModelConfig } from './model-config.js';
import { parameterSpecs } from './weights.js';

export interface SequenceItem {
  readonly tokens: readonly number[];
}

export interface LogprobItem extends SequenceItem {
  /** Of the sampling that produced the tokens. */
  readonly temperature: number;
}

export interface Scorer<Item extends SequenceItem, Result> {
  /** One result an item, in their order. @throws ModelError MODEL_SEQUENCE_LENGTH */
  score(items: readonly Item[]): Promise<Result[]>;
  dispose(): Promise<void>;
}

/** Rows of a program. */
const ROWS = 8;

/** log p(token t | tokens before) for t = 1 .. length - 1, at the item's temperature: rows of length - 1. */
export function logprobScorer(
  engine: Engine,
  config: ModelConfig,
  weights: Frozen,
): Scorer<LogprobItem, Float32Array> {
  const { forward, languageHead } = architectureOf(config);
  return createScorer(engine, config, weights, {
    inputs: { temperature: float32(ROWS) },
    feed: (items) => ({
      temperature: Float32Array.from({ length: ROWS }, (_, row) => items[row]?.temperature ?? 1),
    }),
    rows(T, p, { ids, temperature }) {
      const logits = tf.reshape(languageHead(config, p, forward(config, p, ids!).hidden), [
        ROWS,
        T,
        config.vocabSize,
      ]);
      const before = tf.slice(logits, [0, 0, 0], [ROWS, T - 1, config.vocabSize]);
      const next = tf.slice(ids!, [0, 1], [ROWS, T - 1]);
      return selectiveLogSoftmax(tf.div(before, tf.reshape(temperature!, [ROWS, 1, 1])), next);
    },
    pick: (rows, row, T, length) => rows.slice(row * (T - 1), row * (T - 1) + length - 1),
  });
}

/** The scalar head's number at the last token of each sequence. */
export function rewardScorer(
  engine: Engine,
  config: ModelConfig,
  weights: Frozen,
): Scorer<SequenceItem, number> {
  const { forward, scalarHead } = architectureOf(config);
  return createScorer(engine, config, weights, {
    inputs: {},
    feed: () => ({}),
    rows: (T, p, { ids }) => tf.reshape(scalarHead(config, p, forward(config, p, ids!).hidden), [ROWS, T]),
    pick: (rows, row, T, length) => rows[row * T + length - 1]!,
  });
}

interface Scoring<Item, Result> {
  /** What the program takes beside ids [ROWS, T]. */
  readonly inputs: Specs;
  readonly feed: (items: readonly Item[]) => Buffers;
  readonly rows: (
    T: number,
    p: Readonly<Record<string, tf.Tensor>>,
    inputs: Readonly<Record<string, tf.Tensor>>,
  ) => tf.Tensor;
  /** The result of a sequence of `length` tokens in a row of what the program gave. */
  readonly pick: (rows: Float32Array, row: number, T: number, length: number) => Result;
}

function createScorer<Item extends SequenceItem, Result>(
  engine: Engine,
  config: ModelConfig,
  weights: Frozen,
  { inputs, feed, rows, pick }: Scoring<Item, Result>,
): Scorer<Item, Result> {
  const state = parameterSpecs(config);
  const programOf = (T: number): StatefulProgram => ({
    inputs: { ids: int32(ROWS, T), ...inputs },
    reads: Object.keys(state),
    run: (p, given) => ({ outputs: { rows: rows(T, p, given) } }),
  });
  const open = async () => {
    const workspace = await engine.open(state, { frozen: weights });
    await workspace.add(
      Object.fromEntries(buckets(config.contextLength).map((T) => [`score ${T}`, programOf(T)])),
    );
    return workspace;
  };
  let opened: Promise<Workspace> | undefined;

  return {
    async score(items) {
      for (const { tokens } of items) checkSequence(config, tokens);
      opened ??= open();
      const workspace = await opened;
      const results = new Map<Item, Result>();
      const byLength = groupBy(items, ({ tokens }) => bucket(tokens.length, config.contextLength));
      for (const [T, members] of byLength) {
        for (let from = 0; from < members.length; from += ROWS) {
          const batch = members.slice(from, from + ROWS);
          const ids = new Int32Array(ROWS * T);
          batch.forEach(({ tokens }, row) => {
            ids.set(tokens, row * T);
          });
          const outputs = await workspace.run(`score ${T}`, { ids, ...feed(batch) });
          batch.forEach((item, row) => {
            results.set(item, pick(outputs.rows as Float32Array, row, T, item.tokens.length));
          });
        }
      }
      return items.map((item) => results.get(item)!);
    },
    async dispose() {
      await (await opened)?.dispose();
    },
  };
}

function checkSequence(config: ModelConfig, sequence: readonly number[]): void {
  if (sequence.length >= 1 && sequence.length <= config.contextLength) return;
  throw new ModelError(
    'MODEL_SEQUENCE_LENGTH',
    `expected a sequence of 1 to ${config.contextLength} tokens, got ${sequence.length}: shorten it or use a model with a longer context`,
  );
}
