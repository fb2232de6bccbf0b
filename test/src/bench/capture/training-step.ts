/** One training step, forward, backward and AdamW, on 16 x 64 tokens: the project's trainer and the baseline. */
import type { ModelConfig } from '@rlhf-streams/model';
import { onnxEngine } from '@rlhf-streams/tensor';
import { initialParameters } from '../models.js';
import { LEARNING_RATE, languageModelTrainer, microBatches, NEXT_TOKEN } from '../training-batch.js';
import { plainTrainingStep } from './plain-gpt2.js';

export const ROWS = 16;
export const LENGTH = 64;

export interface Step {
  /** Takes one step and resolves with its loss. */
  run(): Promise<number>;
  close(): Promise<void>;
}

export async function trainerStep(config: ModelConfig, threads: number): Promise<Step> {
  const trainer = await languageModelTrainer(config, onnxEngine({ threads }), { rows: ROWS, length: LENGTH });
  const batches = microBatches(config, ROWS, LENGTH);
  const options = { normaliser: ROWS * LENGTH, learningRate: LEARNING_RATE };
  return {
    run: async () => (await trainer.update(NEXT_TOKEN, batches, options)).stats.loss!,
    close: () => trainer.close(),
  };
}

export async function plainStep(config: ModelConfig, threads: number): Promise<Step> {
  const { program, specs } = plainTrainingStep(config, [ROWS, LENGTH]);
  const { ids: idsSpec, targets: targetsSpec, ...state } = specs;
  const workspace = await onnxEngine({ threads }).open(state);
  await workspace.add({
    step: {
      inputs: { ids: idsSpec!, targets: targetsSpec! },
      reads: Object.keys(state),
      run(before, inputs) {
        const { loss, ...next } = program({ ...before, ...inputs });
        const named = Object.entries(next).map(([name, tensor]) => [name.slice('next.'.length), tensor]);
        return { outputs: { loss: loss! }, next: Object.fromEntries(named) };
      },
    },
  });
  await workspace.load(initialParameters(config));
  const [batch] = microBatches(config, ROWS, LENGTH);
  const { ids, targets } = batch!.buffers;
  return {
    run: async () => (await workspace.run('step', { ids: ids!, targets: targets! })).loss![0]!,
    close: () => workspace.dispose(),
  };
}
