import { learningRateAt } from '@rlhf-streams/alignment';
import type { OptimizerConfig } from '@rlhf-streams/runs';

/** The learning rate of a step under the run's schedule. */
export function learningRate(
  { optimizer, steps }: { optimizer: OptimizerConfig; steps: number },
  step: number,
): number {
  return learningRateAt(step, {
    type: optimizer.schedule,
    learningRate: optimizer.learningRate,
    warmupSteps: optimizer.warmupSteps,
    trainingSteps: steps,
  });
}
