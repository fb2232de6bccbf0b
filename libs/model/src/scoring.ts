/**
 * Scoring of given sequences by a frozen model: log-probs of their tokens, or a reward. A row is padded to a bucket of
 * its own length and computed in batches of a few sizes; its numbers do not depend on the rows beside it.
 */
import {
  type Buffers,
  type Engine,
  type Frozen,
  float32,
  int32,
  type Program,
  type Specs,
  type Workspace,
} from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { architectureOf } from './architectures/index.js';
import { ModelError } from './errors.js';
import { bucket, buckets, type Weights } from './generation/request.js';
import { groupBy } from './group-by.js';
import { headLogprobs } from './head-logprobs.js';
import { scoringRows } from './memory.js';
import type { ModelConfig } from './model-config.js';
import { parameterSpecs } from './weights.js';

export interface SequenceItem {
  readonly tokens: readonly number[];
}

export interface LogprobItem extends SequenceItem {
  /** The temperature at which the tokens were sampled. */
  readonly temperature: number;
}

/** Scores by a frozen model; or by the models that adapters of one shape make of a frozen base. */
export interface Scorer<Item extends SequenceItem, Result> {
  /**
   * One result an item, in their order.
   * @param adapter of a model on a base: its tensors, which are loaded if those of another version are there
   * @throws ModelError MODEL_SEQUENCE_LENGTH
   */
  score(items: readonly Item[], adapter?: Weights): Promise<Result[]>;
  dispose(): Promise<void>;
}

/**
 * There are programs of a few numbers of rows, so that a few sequences do not cost as much as many. A row's numbers must be
 * the same in all of them, so ONNX Runtime must compute it in the same way: a head is on several rows, because it multiplies
 * a single one by another algorithm; and tensors have multiples of 16 numbers, as T has, because the last few of others are
 * computed without vector instructions, in other last bits.
 */
const MOST_ROWS = Math.max(...scoringRows(1));

/**
 * log p(token t | tokens before) for t = 1 .. length - 1, at the item's temperature: rows of length - 1.
 * @param frozen the weights of the model, or where it has an adapter, those that are its base's
 */
export function logprobScorer(
  engine: Engine,
  config: ModelConfig,
  frozen: Frozen,
): Scorer<LogprobItem, Float32Array> {
  const { forward, outputMatrix } = architectureOf(config);
  return createScorer(engine, config, frozen, {
    inputs: (rows, T) => ({ next: int32(rows, T), temperature: float32(rows, T) }),
    feed(items, rows, T) {
      const next = new Int32Array(rows * T);
      const temperature = new Float32Array(rows * T).fill(1);
      items.forEach((item, row) => {
        next.set(item.tokens.slice(1), row * T);
        temperature.fill(item.temperature, row * T, (row + 1) * T);
      });
      return { next, temperature };
    },
    score: ([rows, T], p, { ids, next, temperature }) =>
      headLogprobs({
        hidden: forward(config, p, ids!).hidden,
        output: outputMatrix(config, p),
        ids: tf.reshape(next!, [rows * T]),
        temperature: tf.reshape(temperature!, [rows * T]),
        // A row has the same bits in every number of rows.
        tokens: Math.max(...scoringRows(T)) * T,
      }),
    pick: (scores, row, T, length) => scores.slice(row * T, row * T + length - 1),
  });
}

/**
 * The scalar head's number at the last token of each sequence, less the offset of the head.
 * @param frozen as of `logprobScorer`
 */
export function rewardScorer(
  engine: Engine,
  config: ModelConfig,
  frozen: Frozen,
): Scorer<SequenceItem, number> {
  const { forward, scalarHead } = architectureOf(config);
  const offset = config.head.kind === 'scalar' ? (config.head.offset ?? 0) : 0;
  return createScorer(engine, config, frozen, {
    inputs: () => ({ last: int32(MOST_ROWS) }),
    // As many as there are rows at most, however many there are; rows too many are the first one again.
    feed: (items, _, T) => ({
      last: Int32Array.from({ length: MOST_ROWS }, (_, row) => {
        const place = row < items.length ? row : 0;
        return place * T + items[place]!.tokens.length - 1;
      }),
    }),
    score: (_, p, { ids, last }) => scalarHead(config, p, forward(config, p, ids!, last).hidden),
    pick: (scores, row) => scores[row]! - offset,
  });
}

interface Scoring<Item, Result> {
  /** What the program takes beside ids [rows, T]. */
  readonly inputs: (rows: number, T: number) => Specs;
  /** `items` are at most as many as rows. */
  readonly feed: (items: readonly Item[], rows: number, T: number) => Buffers;
  readonly score: (
    shape: readonly [rows: number, T: number],
    p: Readonly<Record<string, tf.Tensor>>,
    inputs: Readonly<Record<string, tf.Tensor>>,
  ) => tf.Tensor;
  /** The result of a sequence of `length` tokens, which was a row of a program. */
  readonly pick: (scores: Float32Array, row: number, T: number, length: number) => Result;
}

function createScorer<Item extends SequenceItem, Result>(
  engine: Engine,
  config: ModelConfig,
  frozen: Frozen,
  { inputs, feed, score, pick }: Scoring<Item, Result>,
): Scorer<Item, Result> {
  const state = parameterSpecs(config);
  const programOf = (rows: number, T: number): Program => ({
    inputs: { ids: int32(rows, T), ...inputs(rows, T) },
    reads: Object.keys(state),
    run: (p, given) => ({ outputs: { scores: score([rows, T], p, given) } }),
  });
  const open = async () => {
    const workspace = await engine.open(state, { frozen });
    const shapes = buckets(config.contextLength).flatMap((T) =>
      scoringRows(T).map((rows) => [rows, T] as const),
    );
    await workspace.add(
      Object.fromEntries(shapes.map(([rows, T]) => [programName(rows, T), programOf(rows, T)])),
    );
    return workspace;
  };
  let opened: Promise<Workspace> | undefined;
  /** The version of the adapter in the workspace. */
  let loaded: string | undefined;
  /** Runs a program with an adapter: the workspace makes calls in their order, so that the run sees what is loaded just before it. */
  const runWith = async (
    workspace: Workspace,
    adapter: Weights | undefined,
    name: string,
    feeds: Buffers,
  ) => {
    const calls: Promise<unknown>[] = [];
    if (adapter && adapter.version !== loaded) {
      loaded = adapter.version;
      calls.push(workspace.load(adapter.parameters));
    }
    const run = workspace.run(name, feeds);
    try {
      await Promise.all([...calls, run]);
    } catch (error) {
      loaded = undefined;
      throw error;
    }
    return run;
  };

  return {
    async score(items, adapter) {
      for (const { tokens } of items) checkSequence(config, tokens);
      opened ??= open();
      const workspace = await opened;
      const results = new Map<Item, Result>();
      const byLength = groupBy(items, ({ tokens }) => bucket(tokens.length, config.contextLength));
      for (const [T, members] of byLength) {
        const most = Math.max(...scoringRows(T));
        for (let from = 0; from < members.length; from += most) {
          const batch = members.slice(from, from + most);
          const rows = scoringRows(T).find((rows) => rows >= batch.length)!;
          const ids = new Int32Array(rows * T);
          batch.forEach(({ tokens }, row) => {
            ids.set(tokens, row * T);
          });
          const feeds = { ids, ...feed(batch, rows, T) };
          const { scores } = await runWith(workspace, adapter, programName(rows, T), feeds);
          batch.forEach((item, row) => {
            results.set(item, pick(scores as Float32Array, row, T, item.tokens.length));
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

const programName = (rows: number, T: number): string => `score ${rows} x ${T}`;

function checkSequence(config: ModelConfig, sequence: readonly number[]): void {
  if (sequence.length >= 1 && sequence.length <= config.contextLength) return;
  throw new ModelError(
    'MODEL_SEQUENCE_LENGTH',
    `expected a sequence of 1 to ${config.contextLength} tokens, got ${sequence.length}: shorten it or use a model with a longer context`,
  );
}
