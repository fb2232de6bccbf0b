/**
 * Scoring of given sequences: log-probs of their tokens, or a reward. A row is padded to a bucket of its own length and
 * computed in batches of a fixed size, so that its numbers do not depend on the rows beside it.
 */
import { selectiveLogSoftmax } from '@rlhf-streams/alignment';
import {
  allocate,
  type Buffers,
  type Engine,
  type Executable,
  int32,
  type Program,
} from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { architectureOf } from './architectures/index.js';
import { ModelError } from './errors.js';
import { bucket } from './generation/request.js';
import { groupBy } from './group-by.js';
import type { ModelConfig } from './model-config.js';
import { parameterSpecs } from './weights.js';

export interface Scorer<Result> {
  /** One result per sequence, in their order. @throws ModelError MODEL_SEQUENCE_LENGTH */
  score(parameters: Buffers, sequences: readonly (readonly number[])[]): Promise<Result[]>;
}

const ROWS = 8;

/** log p(token t | tokens before) for t = 1 .. length - 1, at a temperature: rows of length - 1. */
export function logprobScorer(engine: Engine, config: ModelConfig, temperature = 1): Scorer<Float32Array> {
  const { forward, languageHead } = architectureOf(config);
  const program =
    (T: number): Program =>
    (t) => {
      const { hidden } = forward(config, t, t.ids!);
      const logits = tf.reshape(languageHead(config, t, hidden), [ROWS, T, config.vocabSize]);
      const next = tf.slice(t.ids!, [0, 1], [ROWS, T - 1]);
      return {
        rows: selectiveLogSoftmax(
          tf.slice(logits, [0, 0, 0], [ROWS, T - 1, config.vocabSize]),
          next,
          temperature,
        ),
      };
    };
  return createScorer(engine, config, program, (rows, row, T, length) =>
    rows.slice(row * (T - 1), row * (T - 1) + length - 1),
  );
}

/** The scalar head's number at the last token of each sequence. */
export function rewardScorer(engine: Engine, config: ModelConfig): Scorer<number> {
  const { forward, scalarHead } = architectureOf(config);
  const program =
    (T: number): Program =>
    (t) => ({ rows: tf.reshape(scalarHead(config, t, forward(config, t, t.ids!).hidden), [ROWS, T]) });
  return createScorer(engine, config, program, (rows, row, T, length) => rows[row * T + length - 1]!);
}

function createScorer<Result>(
  engine: Engine,
  config: ModelConfig,
  program: (T: number) => Program,
  pick: (rows: Float32Array, row: number, T: number, length: number) => Result,
): Scorer<Result> {
  const programs = new Map<number, Promise<Executable>>();
  const compiled = (T: number) => {
    const known = programs.get(T);
    if (known) return known;
    const made = engine.compile(program(T), { ...parameterSpecs(config), ids: int32(ROWS, T) });
    programs.set(T, made);
    return made;
  };

  return {
    async score(parameters, sequences) {
      const results: Result[] = Array.from({ length: sequences.length });
      const indices = sequences.map((sequence, index) => {
        checkSequence(config, sequence);
        return index;
      });
      for (const [T, members] of groupBy(indices, (i) =>
        bucket(sequences[i]!.length, config.contextLength),
      )) {
        const executable = await compiled(T);
        for (let from = 0; from < members.length; from += ROWS) {
          const batch = members.slice(from, from + ROWS);
          const ids = allocate(int32(ROWS, T));
          batch.forEach((index, row) => {
            ids.set(sequences[index]!, row * T);
          });
          const { rows } = await executable.run({ ...parameters, ids });
          batch.forEach((index, row) => {
            results[index] = pick(rows as Float32Array, row, T, sequences[index]!.length);
          });
        }
      }
      return results;
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
