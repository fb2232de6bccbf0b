/**
 * The steps of runs that builds without `step.issued` started. No event lists their items: a training step has a batch,
 * and one more step, after the last, has every held-out item.
 */
import type { StepStream } from '@rlhf-streams/events';
import { type RunConfig, specOf } from './methods/index.js';

/** Their number, with the one that evaluates. */
export const earlierSteps = (training: number, testItems: number): number =>
  training + (testItems > 0 ? 1 : 0);

/**
 * The streams of a step, as `step.issued` lists them. The rows of a training step are the caller's to know: those who
 * join its items need no more than their number.
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
