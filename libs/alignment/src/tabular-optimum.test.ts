/**
 * On a policy small enough to enumerate, max E[r] - beta KL(pi, ref) has the closed form pi* = ref exp(r /
 * beta) / Z. Each method, given exact expectations instead of samples, must end there.
 */
import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, test } from 'vitest';
import { adamw, biasCorrections } from './adamw.js';
import { dpoLoss } from './dpo.js';
import { type Matrix, read } from './golden.test.support.js';
import { truncatedImportanceWeights } from './importance-sampling.js';
import { categoricalKl, klLoss } from './kl.js';
import { adaptPenalty, ppoPenaltyLoss, ppoPolicyLoss } from './ppo.js';
import { reinforceLoss } from './reinforce.js';
import { rlhfReward } from './rewards.js';
import { conjugateGradient, fisherVectorProduct, lineSearch, stepSize, surrogateLoss } from './trpo.js';

interface Optimum {
  beta: number;
  ref_logprobs: Matrix;
  rewards: Matrix;
  optimal_logprobs: Matrix;
}

beforeAll(() => tf.setBackend('cpu'));

const { beta, ref_logprobs, rewards, optimal_logprobs } = read<Optimum>('tabular_optimum.json');
const prompts = rewards.length;
const completions = rewards[0]!.length;

/** KL(pi, pi*) of each prompt. */
const klToOptimum = (logits: tf.Tensor) =>
  categoricalKl(logits, tf.tensor2d(optimal_logprobs)).arraySync() as number[];

test.each([
  ['on-policy', 0],
  ['from rollouts of a policy 4 iterations old, by importance', 4],
])('PPO, %s', (_, lag) => {
  // Outer iteration: the "batch" is every completion y, each one token long, weighted by pi_behav(y). Since the
  // surrogate is positively homogeneous in A, the weight goes into the advantage, and the normaliser is the
  // number of prompts.
  const mask = tf.ones([prompts, completions]);
  const optimizer = createOptimizer(tf.tensor2d(ref_logprobs));
  const policies: Matrix[] = [];
  let mostClipped = 0;
  let mostTruncated = 0;
  for (let iteration = 0; iteration < 300; iteration++) {
    const oldLogprobs = tf.logSoftmax(optimizer.logits());
    policies.push(oldLogprobs.arraySync() as Matrix);
    const behaviour = policies[Math.max(0, iteration - lag)]!;
    const advantages = tf.tensor2d(weightedAdvantages(behaviour));
    const importance = behaviour.map((behaviourLogprobs, x) =>
      truncatedImportanceWeights(
        { proximalLogprobs: policies[iteration]![x]!, behaviourLogprobs },
        { cap: 1.5 },
      ),
    );
    mostTruncated = Math.max(mostTruncated, ...importance.map(({ truncated }) => truncated));
    const weights = tf.tensor2d(importance.map(({ weights }) => [...weights]));
    const surrogate = (logits: tf.Tensor) => {
      const logprobs = tf.logSoftmax(logits);
      const options = { mask, cliprange: 0.2, normaliser: prompts };
      return ppoPolicyLoss({ logprobs, oldLogprobs, advantages, weights, ...options });
    };
    for (let epoch = 0; epoch < 4; epoch++) {
      optimizer.step(0.1 * (1 - iteration / 300), (logits) => surrogate(logits).loss);
    }
    const { clipfrac } = surrogate(optimizer.logits()).stats;
    mostClipped = Math.max(mostClipped, clipfrac.arraySync());
  }
  expect(mostClipped, 'the clip must have been in force on the way').toBeGreaterThan(0);
  expect(mostTruncated > 0, 'the cap must have been in force on the way, off-policy only').toBe(lag > 0);
  expectOptimal(optimizer.logits());
});

test('PPO with the adaptive penalty', () => {
  // As above, with the weights pi_old(y) apart from the advantages, because they weigh the penalty too.
  const mask = tf.ones([prompts, completions]);
  const optimizer = createOptimizer(tf.tensor2d(ref_logprobs));
  const target = 0.005;
  let penalty = 1;
  const penalties: number[] = [];
  for (let iteration = 0; iteration < 300; iteration++) {
    const oldLogprobs = tf.logSoftmax(optimizer.logits());
    const old = oldLogprobs.arraySync() as Matrix;
    const weights = tf.exp(oldLogprobs);
    const advantages = tf.div(tf.tensor2d(weightedAdvantages(old)), weights);
    const surrogate = (logits: tf.Tensor) => {
      const batch = { logprobs: tf.logSoftmax(logits), oldLogprobs, advantages, weights, mask };
      return ppoPenaltyLoss({ ...batch, beta: penalty, normaliser: prompts });
    };
    for (let epoch = 0; epoch < 4; epoch++) {
      optimizer.step(0.1 * (1 - iteration / 300), (logits) => surrogate(logits).loss);
    }
    const kl = surrogate(optimizer.logits()).stats.kl.arraySync();
    penalty = adaptPenalty(penalty, { kl, target });
    penalties.push(penalty);
  }
  expect(Math.max(...penalties), 'the penalty must have held the policy back on the way').toBeGreaterThan(1);
  expectOptimal(optimizer.logits());
});

test.each([
  ['REINFORCE, with the KL in the reward', beta, undefined],
  ['REINFORCE, with the KL in the loss by k2', 0, 'k2'],
] as const)('%s', (_, klCoef, estimator) => {
  // Every completion y is a sample of weight pi(y), in the advantage as above; the loss is differentiated at pi alone.
  const mask = tf.ones([prompts, completions]);
  const optimizer = createOptimizer(tf.tensor2d(ref_logprobs));
  for (let step = 0; step < 400; step++) {
    const sampled = tf.logSoftmax(optimizer.logits());
    const advantages = tf.tensor2d(weightedAdvantages(sampled.arraySync() as Matrix, klCoef));
    optimizer.step(0.3 * (1 - step / 400), (logits) => {
      const logprobs = tf.logSoftmax(logits);
      const options = { logprobs, mask, normaliser: prompts };
      const { loss } = reinforceLoss({ ...options, advantages });
      if (estimator === undefined) return loss;
      const held = klLoss({
        ...options,
        refLogprobs: tf.tensor2d(ref_logprobs),
        weights: tf.exp(sampled),
        estimator,
      });
      return tf.add(loss, tf.mul(beta, held.loss));
    });
  }
  expectOptimal(optimizer.logits());
});

test('TRPO', async () => {
  // The "batch" is as for PPO; the Fisher information is the mean over prompts. Each surrogate is linear in pi, so that steps
  // end where the trust region does: around the optimum, closer the smaller it is.
  const [delta, damping] = [1e-4, 1e-3];
  const states = { mask: tf.ones([prompts]), normaliser: prompts };
  let theta = Float64Array.from(ref_logprobs.flat());
  const table = (numbers: ArrayLike<number>) =>
    tf.tensor2d(Float32Array.from(numbers), [prompts, completions]);
  let mostKl = 0;
  for (let iteration = 0; iteration < 250; iteration++) {
    const old = table(theta);
    const oldLogprobs = tf.logSoftmax(old);
    const advantages = tf.tensor2d(weightedAdvantages(oldLogprobs.arraySync() as Matrix));
    const mask = tf.ones([prompts, completions]);
    const loss = (logits: tf.Tensor) =>
      surrogateLoss({
        logprobs: tf.logSoftmax(logits),
        oldLogprobs,
        advantages,
        mask,
        normaliser: prompts,
      }).loss;
    const g = Float64Array.from(tf.grad(loss)(old).dataSync(), (x) => -x);
    const identity = (logits: tf.Tensor) => tf.mul(logits, 1) as tf.Tensor2D;
    const fisher = async (v: Float64Array) =>
      Float64Array.from(fisherVectorProduct(identity, [old], [table(v)], states)[0]!.dataSync());
    const { x, curvature } = await conjugateGradient(fisher, g, { iterations: 10, damping });
    const stepped = (scale: number) => theta.map((number, i) => number + scale * x[i]!);
    const attempt = async (scale: number) => {
      const logits = table(stepped(scale));
      const kl = tf.mean(categoricalKl(old, logits)).arraySync() as number;
      return { kl, improvement: loss(old).arraySync() - loss(logits).arraySync() };
    };
    const size = stepSize(delta, curvature);
    const options = { size, delta, backtrackCoef: 0.8, backtrackIterations: 10 };
    const { accepted } = await lineSearch(attempt, options);
    mostKl = Math.max(mostKl, accepted?.kl ?? 0);
    if (accepted) theta = stepped(accepted.scale);
  }
  expect(mostKl).toBeGreaterThan(0.5 * delta);
  expect(mostKl).toBeLessThanOrEqual(delta);
  expectOptimal(table(theta));
});

test('DPO', () => {
  // All pairs of completions of a prompt are compared. In expectation over Bradley-Terry labels each has the soft label of a
  // label smoothing of sigma(r_j - r_i).
  comparedTo(600, () => allPairs.map(() => 1 / allPairs.length));
});

test('online DPO with sampled labels', () => {
  // The pairs of a step are samples of the policy as it is, labelled likewise: in expectation all pairs, each with the
  // probability of being drawn, in either order, which is no part of the gradient.
  comparedTo(600, (policy) => allPairs.map(({ x, i, j }) => (2 * policy[x]![i]! * policy[x]![j]!) / prompts));
});

/** Every two completions of every prompt. */
const allPairs = rewards.flatMap((row, x) =>
  row.flatMap((r_i, i) => row.slice(0, i).map((r_j, j) => ({ x, i, j, r_i, r_j }))),
);

/** Expects steps of DPO over all pairs, weighted by a function of the policy before each step, to end at the optimum. */
function comparedTo(steps: number, weightsOf: (policy: Matrix) => number[]): void {
  const places = (of: 'i' | 'j') =>
    tf.tensor1d(
      allPairs.map((pair) => pair.x * completions + pair[of]),
      'int32',
    );
  const [first, second] = [places('i'), places('j')];
  const labelSmoothing = tf.tensor1d(allPairs.map(({ r_i, r_j }) => 1 / (1 + Math.exp(r_i - r_j))));
  const ref = tf.tensor1d(ref_logprobs.flat());
  const lengths = tf.ones([allPairs.length]);
  const optimizer = createOptimizer(tf.tensor2d(ref_logprobs));
  for (let step = 0; step < steps; step++) {
    const mask = tf.tensor1d(weightsOf(tf.softmax(optimizer.logits()).arraySync() as Matrix));
    optimizer.step(0.2 * (1 - step / steps), (logits) => {
      const logprobs = tf.reshape(tf.logSoftmax(logits), [prompts * completions]);
      const side = (ids: tf.Tensor1D) => {
        const logps = tf.gather(logprobs, ids);
        return { logps, logratios: tf.sub(logps, tf.gather(ref, ids)), lengths };
      };
      const [chosen, rejected] = [side(first), side(second)];
      return dpoLoss({ chosen, rejected, beta, labelSmoothing, mask, normaliser: 1 }).loss;
    });
  }
  expectOptimal(optimizer.logits());
}

/** pi_old(y) A(y), with A(y) = r(y) - klCoef log(pi_old(y) / ref(y)) less its expectation under pi_old. */
function weightedAdvantages(oldLogprobs: Matrix, klCoef = beta): Matrix {
  return oldLogprobs.map((row, x) => {
    const regularised = row.map((logprob, y) => {
      const response = { logprobs: [logprob], refLogprobs: [ref_logprobs[x]![y]!], endedWithEos: true };
      return rlhfReward({ ...response, score: rewards[x]![y]! }, { klCoef }).rlhfReward;
    });
    const baseline = row.reduce((sum, logprob, y) => sum + Math.exp(logprob) * regularised[y]!, 0);
    return row.map((logprob, y) => Math.exp(logprob) * (regularised[y]! - baseline));
  });
}

/** AdamW over a table of logits. */
function createOptimizer(initial: tf.Tensor2D) {
  const [beta1, beta2] = [0.9, 0.99];
  let p: tf.Tensor = tf.clone(initial);
  let m: tf.Tensor = tf.zerosLike(p);
  let v: tf.Tensor = tf.zerosLike(p);
  let t = 0;
  return {
    logits: () => p,
    step(learningRate: number, loss: (logits: tf.Tensor) => tf.Scalar): void {
      t += 1;
      const corrections = biasCorrections(t, { beta1, beta2 });
      const next = tf.tidy(() =>
        adamw(
          { p, g: tf.grad((logits) => loss(logits))(p), m, v },
          {
            lr: tf.scalar(learningRate),
            beta1,
            beta2,
            eps: 1e-8,
            weightDecay: 0,
            biasCorrection1: tf.scalar(corrections.biasCorrection1),
            biasCorrection2: tf.scalar(corrections.biasCorrection2),
            gradScale: tf.scalar(1),
          },
        ),
      );
      tf.dispose([p, m, v]);
      ({ p, m, v } = next);
    },
  };
}

function expectOptimal(logits: tf.Tensor): void {
  const start = klToOptimum(tf.tensor2d(ref_logprobs));
  const reached = klToOptimum(logits);
  const message = `KL(pi, pi*) per prompt went from [${start}] to [${reached}]`;
  expect(Math.min(...start), message).toBeGreaterThan(0.1);
  expect(Math.max(...reached), message).toBeLessThan(1e-3);
}
