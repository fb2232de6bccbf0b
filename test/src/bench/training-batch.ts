/** A training step as the project does it: the same loss and batch wherever one is measured. */
import { selectiveLogSoftmax, sftLoss } from '@rlhf-streams/alignment';
import { architectureOf, type ModelConfig } from '@rlhf-streams/model';
import { type Engine, float32, int32 } from '@rlhf-streams/tensor';
import {
  createTrainer,
  type LossProgram,
  layoutOf,
  type MicroBatch,
  oneGroup,
  type Trainer,
} from '@rlhf-streams/training';
import * as tf from '@tensorflow/tfjs';
import { initialParameters, someTokens } from './models.js';

export const LEARNING_RATE = 1e-3;

/** The optimizer of every training that is measured. */
export const OPTIMIZER = {
  learningRate: LEARNING_RATE,
  schedule: 'constant',
  warmupSteps: 0,
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  weightDecay: 0.01,
  maxGradNorm: 1,
} as const;

/** A trainer of a fresh language model, whose micro-batches have one shape. */
export function languageModelTrainer(
  config: ModelConfig,
  engine: Engine,
  { rows, length }: { readonly rows: number; readonly length: number },
): Promise<Trainer> {
  const layout = layoutOf({ policy: config });
  const initial = initialParameters(config);
  return createTrainer({
    engine,
    layout,
    groups: oneGroup(layout, OPTIMIZER),
    programs: { gradients: { [NEXT_TOKEN]: nextTokenLoss(config) } },
    shapes: [{ rows, length, tokens: rows * length }],
    from: {
      p: Object.fromEntries([...layout.namesOf('policy')].map(([name, full]) => [full, initial[name]!])),
    },
  });
}

export const NEXT_TOKEN = 'next token';

/** Mean cross entropy of the next token, at every place of [rows, length]. */
const nextTokenLoss = (config: ModelConfig): LossProgram => ({
  roles: ['policy'],
  inputs: batchSpecs,
  loss({ policy }, { ids, targets, mask }, normaliser) {
    const { forward, languageHead } = architectureOf(config);
    const logits = languageHead(config, policy, forward(config, policy, ids!).hidden);
    const logprobs = tf.reshape(
      selectiveLogSoftmax(logits, tf.reshape(targets!, [targets!.size])),
      targets!.shape,
    );
    return sftLoss({ logprobs, mask: mask!, normaliser });
  },
});

const batchSpecs = ({ rows, length }: { readonly rows: number; readonly length: number }) => ({
  ids: int32(rows, length),
  targets: int32(rows, length),
  mask: float32(rows, length),
});

/** `rows` sequences of `length` tokens, each followed by one more, cut into micro-batches of `size` rows. */
export function microBatches(config: ModelConfig, rows: number, length: number, size = rows): MicroBatch[] {
  const tokens = someTokens(rows * (length + 1), config);
  const row = (index: number) => tokens.subarray(index * (length + 1), (index + 1) * (length + 1));
  return Array.from({ length: rows / size }, (_, batch) => {
    const ids = new Int32Array(size * length);
    const targets = new Int32Array(size * length);
    for (let i = 0; i < size; i++) {
      ids.set(row(batch * size + i).subarray(0, length), i * length);
      targets.set(row(batch * size + i).subarray(1), i * length);
    }
    return {
      specs: batchSpecs({ rows: size, length }),
      buffers: { ids, targets, mask: new Float32Array(size * length).fill(1) },
    };
  });
}
