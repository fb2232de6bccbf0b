/** Runs that measure a version and change nothing: one step, at a rate that no weight feels, and held-out items after it. */
import { parseRunConfig, type RunConfig } from '@rlhf-streams/runs';

/** Smaller than the last bit of any weight that matters. */
const NO_RATE = 1e-12;
const probe = { steps: 1, batchSize: 1, optimizer: { learningRate: NO_RATE, schedule: 'constant' } };

/** Measures the held-out items of a run with these settings, before it has learned. */
export const beforeTraining = (run: string, settings: object): RunConfig =>
  parseRunConfig({ ...settings, ...probe, run });

/** `eval/loss`: the loss of review sentences that no run trained on. */
export const textLoss = (run: string, model: string): RunConfig =>
  beforeTraining(run, {
    method: 'sft',
    model,
    data: 'bundled',
    testFraction: 0.1,
    maxTestItems: 256,
  });

/**
 * `eval/accuracy`: the share of the pairs of rankings that a reward model tells right.
 * @param settings those of the run that trained the model, of how it reads data and whether it has an adapter
 */
export const rewardAccuracy = (run: string, model: string, data: string, settings: object): RunConfig =>
  beforeTraining(run, {
    ...settings,
    method: 'reward',
    model,
    data,
    testFraction: 0.9,
    maxTestItems: 256,
  });
