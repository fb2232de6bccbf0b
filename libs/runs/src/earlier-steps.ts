/**
 * The steps of runs that were started by builds which did not publish `step.issued` yet. What they are made of follows from
 * the configuration: a training step has a batch, and one more step, after the last, has every held-out item.
 */
import type { StepStream } from '@rlhf-streams/events';
import { type RunConfig, specOf } from './methods/index.js';

/** The number of steps, the one that evaluates included. */
export const earlierSteps = (training: number, testItems: number): number =>
  training + (testItems > 0 ? 1 : 0);

/**
 * The streams of a step, as `step.issued` would list them.
 * @param rows of a training step, where they matter: joining its items takes only their number
 */
export function earlierStreams(
  config: RunConfig,
  { steps, testItems }: { readonly steps: number; readonly testItems: number },
  step: number,
  rows: StepStream['rows'] = { from: 0, count: config.batchSize },
): StepStream[] {
  const { data, streams } = specOf(config);
  const { kind } = data;
  const { samples, split } = streams[0]!;
  return step < steps
    ? [{ stream: 'train', kind, split, rows, ...(samples !== undefined && { samples }) }]
    : [{ stream: 'evaluation', kind, split: 'test', rows: { from: 0, count: testItems } }];
}
