/** Learning rate schedules with the names and numbers of transformers' `get_scheduler`. */
import { AlignmentError } from './errors.js';

export interface Schedule {
  /** TRL's lr_scheduler_type. */
  type: ScheduleType;
  /** The rate at the end of the warm-up. */
  learningRate: number;
  /** Steps over which the rate climbs from 0; `constant` has none. */
  warmupSteps: number;
  /** All steps of the run, warm-up included. */
  trainingSteps: number;
  /** The share of the rate that is left at the end, for cosine_with_min_lr. */
  minLrRate?: number;
}

/** One of the schedules below. */
export type ScheduleType = keyof typeof schedules;

/**
 * The learning rate of an optimizer step.
 *
 * @param step 0 for the first; with warm-up the first rate is 0
 * @throws AlignmentError ALIGNMENT_OPTION
 */
export function learningRateAt(step: number, schedule: Schedule): number {
  const { type, learningRate, warmupSteps, trainingSteps, minLrRate = 0 } = schedule;
  if (!(step >= 0 && warmupSteps >= 0 && trainingSteps >= 0)) {
    throw new AlignmentError(
      'ALIGNMENT_OPTION',
      `expected step, warmupSteps and trainingSteps >= 0, got ${step}, ${warmupSteps} and ${trainingSteps}`,
    );
  }
  if (type !== 'constant' && step < warmupSteps) return (learningRate * step) / warmupSteps;
  const progress = (step - warmupSteps) / Math.max(1, trainingSteps - warmupSteps);
  return learningRate * Math.max(0, schedules[type](progress, minLrRate));
}

const halfCosine = (progress: number) => 0.5 * (1 + Math.cos(Math.PI * progress));

/** Each schedule maps progress after warm-up, 0 to 1, to a share of the learning rate. */
const schedules = {
  constant: () => 1,
  constant_with_warmup: () => 1,
  linear: (progress: number) => 1 - progress,
  cosine: (progress: number) => halfCosine(progress),
  cosine_with_min_lr: (progress: number, minLrRate: number) =>
    minLrRate + (1 - minLrRate) * halfCosine(progress),
} satisfies Record<string, (progress: number, minLrRate: number) => number>;
