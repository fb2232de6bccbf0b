/** A training step as the project does it: the same loss and batch wherever one is measured. */
import { selectiveLogSoftmax, sftLoss } from '@rlhf-streams/alignment';
import { architectureOf, type ModelConfig } from '@rlhf-streams/model';
import { type Engine, float32, int32 } from '@rlhf-streams/tensor';
import {
  createTrainer,
  type LossProgram,
  layoutOf,
  type MicroBatch,
  type Trainer,
} from '@rlhf-streams/training';
import * as tf from '@tensorflow/tfjs';
import { initialParameters, someTokens } from './models.js';

export const LEARNING_RATE = 1e-3;

/** A trainer of a fresh language model. */
export function languageModelTrainer(config: ModelConfig, engine: Engine, lanes: number): Promise<Trainer> {
  const layout = layoutOf({ policy: config });
  const p = new Float32Array(layout.size);
  const initial = initialParameters(config);
  for (const [name, view] of Object.entries(layout.views(p)))
    view.set(initial[name.slice('policy.'.length)]!);
  return createTrainer({
    engine,
    lanes,
    layout,
    optimizer: {
      learningRate: LEARNING_RATE,
      schedule: 'constant',
      warmupSteps: 0,
      beta1: 0.9,
      beta2: 0.999,
      eps: 1e-8,
      weightDecay: 0.01,
      maxGradNorm: 1,
    },
    from: { p, m: new Float32Array(layout.size), v: new Float32Array(layout.size), updates: 0 },
  });
}

/** Mean cross entropy of the next token, at every place of [B, T]. */
export const nextTokenLoss = (config: ModelConfig): LossProgram => ({
  key: 'next token',
  loss({ policy }, { ids, targets, mask }, normaliser) {
    const { forward, languageHead } = architectureOf(config);
    const logits = languageHead(config, policy, forward(config, policy, ids!).hidden);
    const logprobs = tf.reshape(
      selectiveLogSoftmax(logits, tf.reshape(targets!, [targets!.size])),
      targets!.shape,
    );
    const { loss } = sftLoss({ logprobs, mask: mask!, normaliser });
    return { loss: loss as tf.Scalar, stats: {} };
  },
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
      specs: { ids: int32(size, length), targets: int32(size, length), mask: float32(size, length) },
      buffers: { ids, targets, mask: new Float32Array(size * length).fill(1) },
    };
  });
}
