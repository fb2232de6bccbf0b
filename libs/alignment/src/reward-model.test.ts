import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { expectClose, golden } from './golden.test.support.js';
import { pairwiseRewardLoss, rewardRange } from './reward-model.js';

interface Case {
  name: string;
  kind: string;
  params: { center_rewards_coefficient: number | null };
  inputs: { chosen: number[]; rejected: number[]; margin: number[] | null };
  expected: {
    loss: number;
    d_chosen: number[];
    d_rejected: number[];
    metrics: Record<'accuracy' | 'margin' | 'min_reward' | 'mean_reward' | 'max_reward', number>;
  };
}

beforeAll(() => tf.setBackend('cpu'));

const cases = golden<Case>('reward_model.json').filter((c) => c.kind === 'bradley_terry');

describe.each(cases)('golden $name', ({ params, inputs, expected }) => {
  const batch = {
    margin: inputs.margin === null ? undefined : tf.tensor1d(inputs.margin),
    centerRewardsCoefficient: params.center_rewards_coefficient ?? 0,
    normaliser: inputs.chosen.length,
  };
  const rewards = () => [tf.tensor1d(inputs.chosen), tf.tensor1d(inputs.rejected)];

  test('loss and gradients', () => {
    const loss = (chosen: tf.Tensor, rejected: tf.Tensor) =>
      pairwiseRewardLoss({ ...batch, chosen, rejected }).loss;
    const { value, grads } = tf.valueAndGrads(loss)(rewards());
    expectClose(value, expected.loss, 1e-6);
    expectClose(grads[0]!, expected.d_chosen, 1e-5);
    expectClose(grads[1]!, expected.d_rejected, 1e-5);
  });

  test('statistics', () => {
    const [chosen, rejected] = rewards() as [tf.Tensor, tf.Tensor];
    const { stats } = pairwiseRewardLoss({ ...batch, chosen, rejected });
    expectClose(stats.accuracy, expected.metrics.accuracy, 1e-6);
    expectClose(stats.margin, expected.metrics.margin, 1e-6);
    expectClose(stats.meanReward, expected.metrics.mean_reward, 1e-6);
    const { minReward, maxReward } = rewardRange([inputs.chosen, inputs.rejected]);
    expectClose([minReward, maxReward], [expected.metrics.min_reward, expected.metrics.max_reward], 1e-12);
  });
});

test('a tie is right half the time: a new head, which scores 0 everywhere, has an accuracy of one half', () => {
  const accuracy = (chosen: number[], rejected: number[]) =>
    pairwiseRewardLoss({ chosen: tf.tensor1d(chosen), rejected: tf.tensor1d(rejected), normaliser: 4 }).stats
      .accuracy;
  expectClose(accuracy([0, 0, 0, 0], [0, 0, 0, 0]), 0.5, 0);
  expectClose(accuracy([1, 2, 2, 3], [0, 2, 2, 4]), 0.5, 0);
  expectClose(accuracy([1, 2, 2, 5], [0, 2, 1, 4]), 0.875, 0);
});

test('the range of no rewards is refused', () => {
  expect(() => rewardRange([[]])).toThrow('at least one');
});
