import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { gae } from './gae.js';
import { expectClose, flatten, type Matrix, read } from './golden.test.support.js';
import { ppoPolicyLoss } from './ppo.js';
import {
  type Baseline,
  baselineAdvantages,
  reinforceLoss,
  rewardsToGo,
  tokenAdvantages,
} from './reinforce.js';

beforeAll(() => tf.setBackend('cpu'));

/** One array a prompt, a number a sample. */
interface Golden {
  rewards: Matrix;
  rloo_advantage: Matrix;
  batch_baseline_advantage: Matrix;
}

const samplesOf = (rewards: Matrix) =>
  rewards.flatMap((row, prompt) => row.map((reward) => ({ prompt: `${prompt}`, reward })));

describe('advantages', () => {
  const golden = read<Golden>('policy_gradient.json');

  test.each([
    ['batch_mean', golden.batch_baseline_advantage],
    ['leave_one_out', golden.rloo_advantage],
  ] as const)('golden %s', (baseline, expected) => {
    expectClose([...baselineAdvantages(samplesOf(golden.rewards), baseline)], expected.flat(), 1e-12);
  });

  test('do not depend on the order of the samples', () => {
    const samples = samplesOf(golden.rewards);
    const places = fc.shuffledSubarray([...samples.keys()], { minLength: samples.length });
    fc.assert(
      fc.property(places, fc.constantFrom<Baseline>('batch_mean', 'leave_one_out'), (order, baseline) => {
        const expected = baselineAdvantages(samples, baseline);
        const shuffled = baselineAdvantages(
          order.map((i) => samples[i]!),
          baseline,
        );
        expectClose(
          [...shuffled],
          order.map((i) => expected[i]!),
          1e-12,
        );
      }),
    );
  });

  test('of a response that nothing is compared with are 0', () => {
    const samples = [...samplesOf([[3, 5]]), { prompt: 'alone', reward: 9 }];
    expect([...baselineAdvantages(samples, 'leave_one_out')]).toEqual([-2, 2, 0]);
    expect([...baselineAdvantages(samples.slice(2), 'batch_mean')]).toEqual([0]);
  });
});

describe('rewards to go', () => {
  const numbers = fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 1, maxLength: 8 });
  const gamma = fc.double({ min: 0, max: 1, noNaN: true });

  test('less the values are the advantages of GAE at lambda 1', () => {
    fc.assert(
      fc.property(
        numbers,
        fc.infiniteStream(fc.double({ min: -5, max: 5, noNaN: true })),
        gamma,
        (rewards, stream, gamma) => {
          const values = [...stream.take(rewards.length)];
          const gains = rewardsToGo(rewards, gamma);
          const { advantages, returns } = gae({ rewards, values }, { gamma, lam: 1 });
          expectClose(
            [...advantages],
            [...gains].map((gain, t) => gain - values[t]!),
            1e-9,
          );
          expectClose([...returns], [...gains], 1e-9);
        },
      ),
    );
  });

  test('are compared with the whole responses of others', () => {
    const gains = [rewardsToGo([1, 2], 1), rewardsToGo([4], 1), rewardsToGo([7], 1)];
    const rows = (baseline: Baseline) =>
      tokenAdvantages(gains, ['x', 'x', 'alone'], baseline).map((row) => [...row]);
    expect(rows('none')).toEqual([[3, 2], [4], [7]]);
    expect(rows('leave_one_out')).toEqual([[-1, -2], [1], [0]]);
    expectClose(rows('batch_mean'), [[3 - 14 / 3, 2 - 14 / 3], [4 - 14 / 3], [7 - 14 / 3]], 1e-12);
  });
});

/** Two responses, of two tokens and of one. */
const logprobs = tf.tensor2d([
  [-0.5, -2],
  [-1, -0.1],
]);
const advantages = tf.tensor2d([
  [1.5, 1.5],
  [-2, -2],
]);
const mask = tf.tensor2d([
  [1, 1],
  [1, 0],
]);

test('the gradient of a log-prob is -A by the number of responses, and padding has none', () => {
  const padded = tf.where(tf.greater(mask, 0), logprobs, Number.NEGATIVE_INFINITY);
  const { value, grad } = tf.valueAndGrad(
    (lp: tf.Tensor) => reinforceLoss({ logprobs: lp, advantages, mask, normaliser: 2 }).loss,
  )(padded);
  expectClose(value, -(1.5 * -2.5 + -2 * -1) / 2, 1e-6);
  expectClose(
    grad,
    [
      [-0.75, -0.75],
      [1, 0],
    ],
    1e-6,
  );
});

test('at rho = 1 the gradient of PPO is that of REINFORCE', () => {
  const options = { advantages, mask, normaliser: 3 };
  const oldLogprobs = tf.clone(logprobs);
  const ppo = (lp: tf.Tensor) =>
    ppoPolicyLoss({ ...options, logprobs: lp, oldLogprobs, cliprange: 0.2 }).loss;
  const reinforce = (lp: tf.Tensor) => reinforceLoss({ ...options, logprobs: lp }).loss;
  expectClose(tf.grad(ppo)(logprobs), tf.grad(reinforce)(logprobs).arraySync() as Matrix, 1e-6);
});

test('micro-batches add up to the batch', () => {
  const gradientOf = (rows: readonly number[]) =>
    tf
      .grad((lp: tf.Tensor) => {
        const of = (x: tf.Tensor) => tf.gather(x, [...rows]);
        return reinforceLoss({
          logprobs: of(lp),
          advantages: of(advantages),
          mask: of(mask),
          normaliser: 2,
        }).loss;
      })(logprobs)
      .arraySync() as Matrix;
  const [first, second] = [flatten(gradientOf([0])), flatten(gradientOf([1]))];
  expectClose(
    first.map((x, i) => x + second[i]!),
    flatten(gradientOf([0, 1])),
    1e-6,
  );
});

/**
 * The policy gradient theorem, by enumeration: over every pair of samples of a prompt, weighted by its probability, the gradient
 * of REINFORCE is the gradient of the objective E[r] - beta KL(pi, ref), whose reward depends on the policy itself.
 */
describe('in expectation over all samples of a prompt, the gradient is', () => {
  const logits = tf.tensor1d([0.3, -0.8, 1.1]);
  const ref = tf.logSoftmax(tf.tensor1d([0.5, 0.1, -0.4]));
  const r = tf.tensor1d([1, -0.5, 2]);
  const beta = 0.3;

  const objective = (z: tf.Tensor) => {
    const lp = tf.logSoftmax(z);
    return tf.sum<tf.Scalar>(tf.mul(tf.exp(lp), tf.sub(r, tf.mul(beta, tf.sub(lp, ref)))));
  };
  const rewards = tf.sub(r, tf.mul(beta, tf.sub(tf.logSoftmax(logits), ref))).arraySync() as number[];
  const pi = tf.softmax(logits).arraySync() as number[];

  const expectedGradient = (baseline: Baseline) => {
    const sum = [0, 0, 0];
    for (const i of pi.keys()) {
      for (const j of pi.keys()) {
        const samples = [i, j].map((y) => ({ prompt: 'x', reward: rewards[y]! }));
        const gradient = tf
          .grad((z: tf.Tensor) => {
            const chosen = tf.gather(tf.logSoftmax(z), [i, j]);
            const A = tf.tensor1d([...baselineAdvantages(samples, baseline)]);
            return reinforceLoss({ logprobs: chosen, advantages: A, mask: tf.ones([2]), normaliser: 2 }).loss;
          })(logits)
          .arraySync() as number[];
        for (const k of sum.keys()) sum[k]! -= pi[i]! * pi[j]! * gradient[k]!;
      }
    }
    return sum;
  };

  test.each([
    ['the policy gradient', 'none', 1],
    ['the policy gradient', 'leave_one_out', 1],
    ['half of it, from two samples', 'batch_mean', 1 / 2],
  ] as const)('%s with the baseline %s', (_, baseline, share) => {
    const gradient = tf.grad(objective)(logits).arraySync() as number[];
    expect(Math.hypot(...gradient)).toBeGreaterThan(0.1);
    expectClose(
      expectedGradient(baseline),
      gradient.map((x) => share * x),
      1e-5,
    );
  });
});

/**
 * The same of responses of two tokens, each with a reward of its own and the KL of its own: crediting a token with the
 * rewards from it on leaves the gradient as it is, and so does a baseline of the other sample.
 */
describe('in expectation over all responses of two tokens', () => {
  const beta = 0.3;
  // Logits of the first token, and of the second after each first one.
  const z = tf.tensor2d([
    [0.4, -0.3],
    [0.9, 0.1],
    [-0.7, 0.5],
  ]);
  const ref = tf.logSoftmax(
    tf.tensor2d([
      [0, 0.6],
      [0.2, -0.5],
      [0.3, 0.1],
    ]),
  );
  const r = [
    [1, -2],
    [0.5, 3],
  ];
  const responses = [0, 1].flatMap((a) =>
    [0, 1].map((b) => ({ tokens: [a, b], states: [0, 1 + a], score: r[a]![b]! })),
  );
  const placesOf = ({ tokens, states }: (typeof responses)[number]) =>
    tokens.map((token, t) => 2 * states[t]! + token);
  const logprobsOf = (logits: tf.Tensor, places: number[]) =>
    tf.gather(tf.reshape(tf.logSoftmax(logits), [6]), tf.tensor1d(places, 'int32'));
  const numbersOf = (logits: tf.Tensor, response: (typeof responses)[number]) =>
    logprobsOf(logits, placesOf(response)).arraySync() as number[];

  const rewards = responses.map((response) => {
    const [lp, rp] = [numbersOf(z, response), logprobsOf(ref, placesOf(response)).arraySync() as number[]];
    return lp.map((x, t) => -beta * (x - rp[t]!) + (t === 1 ? response.score : 0));
  });
  const probabilities = responses.map((response) => Math.exp(numbersOf(z, response).reduce((a, b) => a + b)));

  const exact = tf.grad((logits: tf.Tensor) => {
    const terms = responses.map((response) => {
      const lp = tf.sum(logprobsOf(logits, placesOf(response)));
      const rp = tf.sum(logprobsOf(ref, placesOf(response)));
      return tf.mul(tf.exp(lp), tf.sub(response.score, tf.mul(beta, tf.sub(lp, rp))));
    });
    return tf.addN(terms as tf.Scalar[]);
  })(z);

  test.each<Baseline>(['none', 'leave_one_out'])(
    'reward-to-go with the baseline %s has the policy gradient',
    (baseline) => {
      const sum = [...flatten(tf.zeros([3, 2]).arraySync() as Matrix)];
      responses.forEach((one, i) => {
        responses.forEach((two, j) => {
          const gains = [i, j].map((k) => rewardsToGo(rewards[k]!, 1));
          const A = tf.tensor1d(tokenAdvantages(gains, ['x', 'x'], baseline).flatMap((row) => [...row]));
          const gradient = tf.grad((logits: tf.Tensor) => {
            const logprobs = logprobsOf(logits, [...placesOf(one), ...placesOf(two)]);
            return reinforceLoss({ logprobs, advantages: A, mask: tf.ones([4]), normaliser: 2 }).loss;
          })(z);
          flatten(gradient.arraySync() as Matrix).forEach((x, k) => {
            sum[k]! -= probabilities[i]! * probabilities[j]! * x;
          });
        });
      });
      const expected = flatten(exact.arraySync() as Matrix);
      expect(Math.hypot(...expected)).toBeGreaterThan(0.1);
      expectClose(sum, expected, 1e-5);
    },
  );
});
