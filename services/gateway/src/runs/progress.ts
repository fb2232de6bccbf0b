import type { Received } from '@rlhf-streams/bus';
import { Split } from '@rlhf-streams/events';
import { z } from 'zod';

export const StepMetrics = z
  .object({
    step: z.int(),
    split: Split,
    policyVersion: z.int().describe('after the step'),
    time: z.iso.datetime(),
    metrics: z.record(z.string(), z.number()),
  })
  .meta({ id: 'StepMetrics', description: 'What a step measured; in a run, its last step' });
export type StepMetrics = z.output<typeof StepMetrics>;

/**
 * Adds a step to those of its run, in order. A step that was done again after a crash is left out: its numbers are the
 * same.
 */
export function applyStep(progress: Map<string, StepMetrics[]>, event: Received<'training-metrics'>): void {
  const { run, step, split, policyVersion, metrics } = event.data;
  const steps = progress.get(run) ?? [];
  progress.set(run, steps);
  if (step < stepsDone(steps)) return;
  steps.push({ step, split, policyVersion, time: new Date(event.time).toISOString(), metrics });
}

export const stepsDone = (steps: readonly StepMetrics[] = []): number => (steps.at(-1)?.step ?? -1) + 1;
