import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { type DpoBatch, type DpoLossType, dpoLoss, dpoLossTypes, responseLogprobs } from './dpo.js';
import { expectClose, golden, type Matrix } from './golden.test.support.js';
import { selectiveLogSoftmax } from './logprobs.js';

interface PairCase {
  name: string;
  kind: string;
  params: { beta: number; label_smoothing: number; alpha: number };
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
  rdpo: 'sigmoid',
  sigmoid_norm: 'sigmoid_norm',
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
      alpha: params.alpha,
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

/** Pairs of responses by what is summed of each, [chosen, rejected]. */
interface Sums {
  logps: readonly [number, number];
  ref: readonly [number, number];
  lengths: readonly [number, number];
}

const sums: fc.Arbitrary<Sums> = fc.record({
  logps: fc.tuple(logprob(), logprob()),
  ref: fc.tuple(logprob(), logprob()),
  lengths: fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 })),
});

function logprob() {
  return fc.double({ min: -30, max: -0.1, noNaN: true });
}

/** The loss of one pair, and its gradient with respect to the log-prob of the chosen response. */
function lossOf({ logps, ref, lengths }: Sums, options: Partial<DpoBatch>) {
  return tf.tidy(() => {
    const side = (i: 0 | 1, own: tf.Tensor) => ({
      logps: own,
      logratios: tf.sub(own, ref[i]),
      lengths: tf.tensor1d([lengths[i]]),
    });
    const { value, grad } = tf.valueAndGrad(
      (x: tf.Tensor) =>
        dpoLoss({
          chosen: side(0, x),
          rejected: side(1, tf.tensor1d([logps[1]])),
          beta: 0.3,
          normaliser: 1,
          ...options,
        }).loss,
    )(tf.tensor1d([logps[0]]));
    return { loss: value.dataSync()[0]!, gradient: grad.dataSync()[0]! };
  });
}

describe('R-DPO', () => {
  test.each(['sigmoid', 'robust', 'hinge'] as const)(
    'with an alpha of 0 is DPO to the bit: %s',
    (lossType) => {
      fc.assert(
        fc.property(sums, (pair) => {
          const options = { lossType, labelSmoothing: 0.1 };
          expect(lossOf(pair, { ...options, alpha: 0 })).toEqual(lossOf(pair, options));
        }),
        { numRuns: 30 },
      );
    },
  );

  test('learns less from a winner that is longer, and more from one that is shorter', () => {
    fc.assert(
      fc.property(sums, fc.double({ min: 0.01, max: 0.1, noNaN: true }), ({ logps, ref, lengths }, alpha) => {
        // Log-ratios of a few nats, where no sigmoid is saturated.
        const near = logps.map((lp, i) => lp + ref[i]! / 10) as [number, number];
        const pair = { logps, ref: near, lengths };
        const [chosen, rejected] = lengths;
        const [dpo, rdpo] = [lossOf(pair, {}), lossOf(pair, { alpha })];
        // Both raise the chosen response: their gradients are below 0.
        expect(Math.sign(rdpo.gradient - dpo.gradient)).toBe(Math.sign(chosen - rejected));
        expect(Math.sign(dpo.loss - rdpo.loss)).toBe(Math.sign(chosen - rejected));
      }),
      { numRuns: 50 },
    );
  });

  test('is DPO where lengths are equal', () => {
    const pair = { logps: [-3, -4], ref: [-2, -5], lengths: [7, 7] } as const;
    expect(lossOf(pair, { alpha: 0.5 })).toEqual(lossOf(pair, {}));
  });

  test('is refused of loss types that have no place for it', () => {
    const pair = { logps: [-3, -4], ref: [-2, -5], lengths: [7, 3] } as const;
    const refused = Object.keys(dpoLossTypes).filter((lossType) => {
      try {
        lossOf(pair, { lossType: lossType as DpoLossType, alpha: 0.1 });
        return false;
      } catch (error) {
        expect(String(error)).toContain('alpha belongs to');
        return true;
      }
    });
    expect(refused).toEqual(['sigmoid_norm', 'simpo', 'ipo', 'ipo_sum']);
  });
});

describe('SimPO', () => {
  const simpo = (pair: Sums, simpoGamma: number, more: Partial<DpoBatch> = {}) =>
    lossOf(pair, { lossType: 'simpo', simpoGamma, ...more });

  test('compares log-probs per token, less a margin', () => {
    fc.assert(
      fc.property(sums, fc.double({ min: 0, max: 2, noNaN: true }), (pair, gamma) => {
        const perToken = (i: 0 | 1) => pair.logps[i] / pair.lengths[i];
        const x = 0.3 * (perToken(0) - perToken(1)) - gamma;
        const { loss, gradient } = simpo(pair, gamma);
        expectClose(loss, Math.log1p(Math.exp(-x)), 1e-5);
        expectClose(gradient, (-0.3 / pair.lengths[0]) * (1 / (1 + Math.exp(x))), 1e-5);
        const smoothed = 0.9 * Math.log1p(Math.exp(-x)) + 0.1 * Math.log1p(Math.exp(x));
        expectClose(simpo(pair, gamma, { labelSmoothing: 0.1 }).loss, smoothed, 1e-5);
      }),
      { numRuns: 50 },
    );
  });

  test('has no reference', () => {
    fc.assert(
      fc.property(sums, sums, (pair, { ref }) => {
        expect(simpo({ ...pair, ref }, 0.5)).toEqual(simpo(pair, 0.5));
      }),
      { numRuns: 20 },
    );
  });

  test('without a margin is sigmoid_norm with a reference that gives every token the same', () => {
    fc.assert(
      fc.property(sums, ({ logps, lengths }) => {
        const pair = { logps, lengths, ref: lengths.map((length) => -2 * length) as [number, number] };
        const [a, b] = [simpo(pair, 0), lossOf(pair, { lossType: 'sigmoid_norm' })];
        expectClose([a.loss, a.gradient], [b.loss, b.gradient], 1e-5);
      }),
      { numRuns: 30 },
    );
  });
});

test('log-ratios without a reference are log-probs', () => {
  const logprobs = tf.tensor2d([[-1, -2, -9]]);
  const mask = tf.tensor2d([[1, 1, 0]]);
  const { logps, logratios } = responseLogprobs({ logprobs, mask });
  expectClose([logps.arraySync(), logratios.arraySync()], [[-3], [-3]], 0);
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
