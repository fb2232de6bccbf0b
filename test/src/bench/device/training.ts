/** A step of supervised fine-tuning, by the trainer that runs have: the gradient of a micro-batch, and AdamW. */
import { sftLoss } from '@rlhf-streams/alignment';
import { architectureOf, headLogprobs, type ModelConfig } from '@rlhf-streams/model';
import { type Engine, float32, int32 } from '@rlhf-streams/tensor';
import {
  type BatchShape,
  createTrainer,
  type LossProgram,
  layoutOf,
  type MicroBatch,
  oneGroup,
} from '@rlhf-streams/training';
import * as tf from '@tensorflow/tfjs';
import { someTokens } from '../models.js';
import { OPTIMIZER } from '../training-batch.js';
import type { Case } from './cases.js';
import { modelOf, randomTensors } from './models.js';

export interface Step {
  /** @returns milliseconds, and the loss */
  run(): Promise<{ ms: number; loss?: number }>;
  close(): Promise<void>;
}

const LEARNING_RATE = 1e-4;

export async function openTraining(engine: Engine, one: Case): Promise<Step> {
  const config = modelOf(one);
  const layout = layoutOf({ policy: config });
  const tensors = randomTensors(config);
  const named = (frozen: boolean) =>
    Object.fromEntries(
      [...layout.namesOf('policy')]
        .filter(([, full]) => layout.tensors.get(full)!.frozen === frozen)
        .map(([name, full]) => [full, tensors[name]!]),
    );
  const batch = textBatch(config, one);
  const trainer = await createTrainer({
    engine,
    layout,
    groups: oneGroup(layout, { ...OPTIMIZER, learningRate: LEARNING_RATE }),
    programs: { gradients: { sft: sftProgram(config) } },
    shapes: [shapeOf(one)],
    from: { p: named(false) },
    ...(config.adapter && { frozen: { hash: 'random', values: named(true) } }),
  });
  return {
    async run() {
      const begun = performance.now();
      const { stats } = await trainer.update('sft', [batch], {
        normaliser: one.rows * (one.length - 1),
        learningRate: LEARNING_RATE,
      });
      return { ms: performance.now() - begun, loss: stats.loss! };
    },
    close: () => trainer.close(),
  };
}

const shapeOf = ({ rows, length }: Case): BatchShape => ({ rows, length, tokens: rows * length });

const inputsOf = ({ rows, length, tokens }: BatchShape) => ({
  ids: int32(rows, length),
  at: int32(tokens),
  next: int32(tokens),
  mask: float32(tokens),
});

/** As the method of SFT has it: log-probs of the predicted tokens alone, and the loss of each. */
const sftProgram = (config: ModelConfig): LossProgram => ({
  roles: ['policy'],
  inputs: inputsOf,
  loss({ policy }, { ids, at, next, mask }, normaliser) {
    const { forward, outputMatrix } = architectureOf(config);
    const { hidden } = forward(config, policy, ids!, at!);
    const logprobs = headLogprobs({ hidden, output: outputMatrix(config, policy), ids: next! });
    const { loss, stats } = sftLoss({ logprobs, mask: mask!, normaliser });
    return { loss, stats, outputs: { losses: tf.neg(logprobs) } };
  },
});

/** Texts of one length, laid out as SFT does it: all tokens of a text but the first are predicted, and padded to whole texts. */
function textBatch(config: ModelConfig, one: Case): MicroBatch {
  const { rows, length } = one;
  const ids = someTokens(rows * length, config);
  const [at, next] = [new Int32Array(rows * length), new Int32Array(rows * length)];
  const predicted = rows * (length - 1);
  for (let i = 0; i < predicted; i++) {
    const row = Math.floor(i / (length - 1));
    at[i] = i + row;
    next[i] = ids[i + row + 1]!;
  }
  const mask = new Float32Array(rows * length).fill(1, 0, predicted);
  return { specs: inputsOf(shapeOf(one)), buffers: { ids, at, next, mask } };
}
