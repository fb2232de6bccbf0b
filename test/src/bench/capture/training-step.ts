/** One training step, forward, backward and AdamW, on 16 x 64 tokens: the project's trainer and the baseline. */
import type { ModelConfig } from '@rlhf-streams/model';
import { allocate, type Buffers, onnxEngine } from '@rlhf-streams/tensor';
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
  const executable = await onnxEngine({ threads }).compile(program, specs);
  const [batch] = microBatches(config, ROWS, LENGTH);
  const { ids, targets } = batch!.buffers;
  const initial = initialParameters(config);
  const newState = (): Buffers =>
    Object.fromEntries(
      Object.entries(specs)
        .filter(([name]) => name !== 'ids' && name !== 'targets')
        .map(([name, spec]) => [name, initial[name]?.slice() ?? allocate(spec)]),
    );
  let [state, next] = [newState(), newState()];
  return {
    async run() {
      const into = Object.fromEntries(Object.entries(next).map(([name, buffer]) => [`next.${name}`, buffer]));
      const { loss } = await executable.run({ ...state, ids: ids!, targets: targets! }, into);
      [state, next] = [next, state];
      return loss![0]!;
    },
    close: () => executable.dispose(),
  };
}
