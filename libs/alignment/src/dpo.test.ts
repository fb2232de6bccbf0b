import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { type DpoLossType, dpoLoss, responseLogprobs } from './dpo.js';
import { expectClose, golden, type Matrix } from './golden.test.support.js';
import { selectiveLogSoftmax } from './logprobs.js';

interface PairCase {
  name: string;
  kind: string;
  params: { beta: number; label_smoothing: number };
  inputs: Record<
    | 'policy_chosen_logps'
    | 'policy_rejected_logps'
    | 'ref_chosen_logps'
    | 'ref_rejected_logps'
    | 'chosen_lengths'
    | 'rejected_lengths',
    number[]
  >;
  expected: {
    loss: number;
    d_policy_chosen: number[];
    d_policy_rejected: number[];
    d_ref_chosen: number[];
    d_ref_rejected: number[];
    chosen_rewards: number[];
    rejected_rewards: number[];
    margin: number;
    accuracy: number;
  };
}

interface LogitsCase {
  name: string;
  kind: string;
  params: { beta: number };
  inputs: { input_ids: Matrix; completion_mask: Matrix; logits: Matrix[]; ref_logits: Matrix[] };
  expected: {
    loss: number;
    sequence_logps: number[];
    d_loss_d_logits: Matrix[];
    metrics: Record<
      | 'rewards/chosen'
      | 'rewards/rejected'
      | 'rewards/accuracies'
      | 'rewards/margins'
      | 'logps/chosen'
      | 'logps/rejected',
      number
    >;
  };
}

beforeAll(() => tf.setBackend('cpu'));

const lossTypeOf: Record<string, DpoLossType> = {
  sigmoid: 'sigmoid',
  cdpo: 'sigmoid',
  robust: 'robust',
  hinge: 'hinge',
  ipo_mean: 'ipo',
  ipo_sum: 'ipo_sum',
};
const cases = golden<PairCase | LogitsCase>('dpo.json');
const pairCases = cases.filter((c): c is PairCase => c.kind in lossTypeOf);
const logitsCases = cases.filter((c): c is LogitsCase => c.kind === 'sigmoid_from_logits');
const mean = (xs: number[]) => xs.reduce((sum, x) => sum + x, 0) / xs.length;

describe.each(pairCases)('golden $name', ({ kind, params, inputs, expected }) => {
  const loss = (...sums: tf.Tensor[]) => {
    const [policyChosen, policyRejected, refChosen, refRejected] = sums as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
    ];
    return dpoLoss({
      chosen: {
        logps: policyChosen,
        logratios: tf.sub(policyChosen, refChosen),
        lengths: tf.tensor1d(inputs.chosen_lengths),
      },
      rejected: {
        logps: policyRejected,
        logratios: tf.sub(policyRejected, refRejected),
        lengths: tf.tensor1d(inputs.rejected_lengths),
      },
      beta: params.beta,
      lossType: lossTypeOf[kind]!,
      labelSmoothing: params.label_smoothing,
      normaliser: inputs.chosen_lengths.length,
    });
  };
  const sums = () => [
    tf.tensor1d(inputs.policy_chosen_logps),
    tf.tensor1d(inputs.policy_rejected_logps),
    tf.tensor1d(inputs.ref_chosen_logps),
    tf.tensor1d(inputs.ref_rejected_logps),
  ];

  test('loss and gradients', () => {
    const { value, grads } = tf.valueAndGrads((...xs: tf.Tensor[]) => loss(...xs).loss)(sums());
    expectClose(value, expected.loss, 1e-6);
    expectClose(grads[0]!, expected.d_policy_chosen, 1e-5);
    expectClose(grads[1]!, expected.d_policy_rejected, 1e-5);
    expectClose(grads[2]!, expected.d_ref_chosen, 1e-5);
    expectClose(grads[3]!, expected.d_ref_rejected, 1e-5);
  });

  test('statistics', () => {
    const { stats } = loss(...sums());
    expectClose(stats.rewardsChosen, mean(expected.chosen_rewards), 1e-6);
    expectClose(stats.rewardsRejected, mean(expected.rejected_rewards), 1e-6);
    expectClose(stats.rewardsMargins, expected.margin, 1e-6);
    expectClose(stats.rewardsAccuracies, expected.accuracy, 1e-6);
    expectClose(stats.logpsChosen, mean(inputs.policy_chosen_logps), 1e-6);
    expectClose(stats.logpsRejected, mean(inputs.policy_rejected_logps), 1e-6);
  });
});

test.each(logitsCases)(
  'golden $name: from logits, rows [chosen..., rejected...]',
  ({ params, inputs, expected }) => {
    const ids = tf.tensor2d(inputs.input_ids, undefined, 'int32');
    const [rows, length] = ids.shape;
    const next = tf.slice(ids, [0, 1], [rows, length - 1]);
    const mask = tf.tensor2d(inputs.completion_mask.map((row) => row.slice(1)));
    const tokenLogprobs = (z: tf.Tensor) =>
      selectiveLogSoftmax(tf.slice(z, [0, 0, 0], [rows, length - 1, -1]), next);
    const refLogprobs = tokenLogprobs(tf.tensor3d(inputs.ref_logits));
    const dpo = (z: tf.Tensor) => {
      const logprobs = tokenLogprobs(z);
      const side = (start: number) => {
        const half = (x: tf.Tensor) => tf.slice(x, [start, 0], [rows / 2, length - 1]);
        return responseLogprobs({
          logprobs: half(logprobs),
          refLogprobs: half(refLogprobs),
          mask: half(mask),
        });
      };
      return dpoLoss({ chosen: side(0), rejected: side(rows / 2), beta: params.beta, normaliser: rows / 2 });
    };

    const logits = tf.tensor3d(inputs.logits);
    const { value, grad } = tf.valueAndGrad((z: tf.Tensor) => dpo(z).loss)(logits);
    expectClose(value, expected.loss, 1e-6);
    expectClose(grad, expected.d_loss_d_logits, 1e-5);
    expectClose(
      responseLogprobs({ logprobs: tokenLogprobs(logits), refLogprobs, mask }).logps,
      expected.sequence_logps,
      1e-6,
    );

    const { stats } = dpo(logits);
    const { metrics } = expected;
    expectClose(stats.rewardsChosen, metrics['rewards/chosen'], 1e-6);
    expectClose(stats.rewardsRejected, metrics['rewards/rejected'], 1e-6);
    expectClose(stats.rewardsAccuracies, metrics['rewards/accuracies'], 1e-6);
    expectClose(stats.rewardsMargins, metrics['rewards/margins'], 1e-6);
    expectClose(stats.logpsChosen, metrics['logps/chosen'], 1e-6);
    expectClose(stats.logpsRejected, metrics['logps/rejected'], 1e-6);
  },
);

test('a policy that is its reference has a loss of log 2 and is right half the time', () => {
  const same = () => ({
    logps: tf.tensor1d([-3, -7]),
    logratios: tf.zeros([2]),
    lengths: tf.tensor1d([2, 5]),
  });
  const { loss, stats } = dpoLoss({ chosen: same(), rejected: same(), beta: 0.1, normaliser: 2 });
  expectClose(loss, Math.LN2, 1e-6);
  expectClose(stats.rewardsAccuracies, 0.5, 0);
});

test('a small preference survives thousands of tokens', () => {
  // The two sums of about -17,000 are float32 numbers 2^-9 apart: their difference could not show a Delta of
  // 1e-4.
  const length = 6000;
  const refLogprobs = tf.fill([1, length], -2.875);
  const improved = tf.tensor2d([[-2.875 + 1e-4, ...new Array<number>(length - 1).fill(-2.875)]]);
  const mask = tf.ones([1, length]);
  const { logratios } = responseLogprobs({ logprobs: improved, refLogprobs, mask });
  expectClose(logratios, [1e-4], 1e-6);
});

test('label smoothing of one half, which no label survives, is refused', () => {
  const side = { logps: tf.zeros([1]), logratios: tf.zeros([1]), lengths: tf.ones([1]) };
  const loss = () =>
    dpoLoss({
      chosen: side,
      rejected: side,
      beta: 0.1,
      lossType: 'robust',
      labelSmoothing: 0.5,
      normaliser: 1,
    });
  expect(loss).toThrow('label smoothing');
});
