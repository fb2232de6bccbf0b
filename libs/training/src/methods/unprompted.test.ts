import type { Item } from '@rlhf-streams/runs';
import { cpuEngine } from '@rlhf-streams/tensor';
import { expect, it } from 'vitest';
import { begin, comparisonItem, demonstrationItem, runOf } from '../tiny.test.support.js';

/** The log-probs of three tokens and of two: the first token of a text without a prompt has none. */
const reference = [
  [-1, -2, -3],
  [-2, -1],
];
const prompted: Record<'sft' | 'dpo' | 'reward', Item> = {
  sft: demonstrationItem('tiny/0/0', { promptTokens: [7], tokens: [1, 2, 3] }),
  dpo: comparisonItem(
    'tiny/0/0',
    [7],
    [
      [1, 2, 3],
      [4, 5],
    ],
    { reference },
  ),
  reward: comparisonItem(
    'tiny/0/0',
    [7],
    [
      [1, 2, 3],
      [4, 5],
    ],
  ),
};
const unprompted: typeof prompted = {
  sft: demonstrationItem('tiny/0/0', { promptTokens: [], tokens: [7, 1, 2, 3] }),
  dpo: comparisonItem(
    'tiny/0/0',
    [],
    [
      [7, 1, 2, 3],
      [7, 4, 5],
    ],
    { reference },
  ),
  reward: comparisonItem(
    'tiny/0/0',
    [],
    [
      [7, 1, 2, 3],
      [7, 4, 5],
    ],
  ),
};

it.each(['sft', 'dpo', 'reward'] as const)(
  '%s learns a text without a prompt as one whose prompt is its first token',
  async (method) => {
    const metricsOf = async (item: Item) => {
      const run = await begin(runOf(method), cpuEngine());
      const metrics = [await run.update([item]), await run.update([item])];
      await run.trainer.close();
      return metrics;
    };
    const metrics = await metricsOf(unprompted[method]);
    expect(metrics).toEqual(await metricsOf(prompted[method]));
    expect(metrics[1]!.loss).toBeLessThan(metrics[0]!.loss!);
  },
);

it('sft learns nothing of an only token', async () => {
  const only = demonstrationItem('tiny/0/1', { promptTokens: [], tokens: [9] });
  const lossOf = async (items: readonly Item[]) => {
    const run = await begin(runOf('sft'), cpuEngine());
    const { loss } = await run.update(items);
    await run.trainer.close();
    return loss;
  };
  expect(await lossOf([only])).toBeUndefined();
  expect(await lossOf([prompted.sft, only])).toBeCloseTo((await lossOf([prompted.sft]))!, 6);
});
