/**
 * The optimum itself: on a policy small enough to enumerate, a table of logits, max E[r] - beta KL(pi, ref) has the closed
 * form pi*(y|x) = ref(y|x) exp(r(x, y) / beta) / Z(x). Each method, given exact expectations instead of samples, must end there.
 */
import * as tf from '@tensorflow/tfjs';
import { adamw, biasCorrections } from './adamw.js';
import { dpoLoss } from './dpo.js';
import { categoricalKl } from './kl.js';
import { adaptPenalty, ppoPenaltyLoss, ppoPolicyLoss } from './ppo.js';
import { reinforceLoss } from './reinforce.js';
import { rlhfReward } from './rewards.js';
import { conjugateGradient, fisherVectorProduct, lineSearch, stepSize, surrogateLoss } from './trpo.js';

type Matrix = readonly (readonly number[])[];

/** Completions of a few prompts, one token each: their log-probs under the reference, and their rewards, both [X, Y]. */
export interface TabularTask {
  readonly beta: number;
  readonly refLogprobs: Matrix;
  readonly rewards: Matrix;
}

export interface TabularResult {
  /** The policy that the method came to, [X, Y]. */
  readonly logits: tf.Tensor2D;
  /** What held the method back on the way, at most: the share of clipped tokens, the penalty's weight, the KL of a step. */
  readonly most?: number;
}

/** log pi*, in float64. */
export const optimalLogprobs = ({ beta, refLogprobs, rewards }: TabularTask): number[][] =>
  refLogprobs.map((row, x) => {
    const unnormalised = row.map((logprob, y) => logprob + rewards[x]![y]! / beta);
    const greatest = Math.max(...unnormalised);
    const logZ = greatest + Math.log(unnormalised.reduce((sum, z) => sum + Math.exp(z - greatest), 0));
    return unnormalised.map((z) => z - logZ);
  });

/** KL(pi, pi*) of each prompt, in nats. */
export const klToOptimum = (task: TabularTask, logits: tf.Tensor): number[] =>
  categoricalKl(logits, tf.tensor2d(optimalLogprobs(task))).arraySync() as number[];

/** Every method with exact expectations, from the reference to the end of its training. */
export const tabularMethods = {
  REINFORCE: reinforce,
  TRPO: trpo,
  'PPO-clip': ppoClip,
  'PPO-penalty': ppoPenalty,
  DPO: dpo,
  'online DPO': onlineDpo,
} as const satisfies Record<string, (task: TabularTask) => TabularResult | Promise<TabularResult>>;

/** Every completion is a sample of weight pi(y), which goes into its advantage. */
function reinforce(task: TabularTask): TabularResult {
  const [prompts, completions] = shapeOf(task);
  const mask = tf.ones([prompts, completions]);
  const optimizer = tableOptimizer(task);
  for (let step = 0; step < 400; step++) {
    const sampled = tf.logSoftmax(optimizer.logits()).arraySync() as number[][];
    const advantages = tf.tensor2d(weightedAdvantages(task, sampled));
    optimizer.step(0.3 * (1 - step / 400), (logits) => {
      const logprobs = tf.logSoftmax(logits);
      return reinforceLoss({ logprobs, advantages, mask, normaliser: prompts }).loss;
    });
  }
  return { logits: optimizer.logits() };
}

/** The trust region of each step, in nats: steps end at its edge, around the optimum, closer the smaller it is. */
export const TABULAR_DELTA = 1e-4;

/** The batch is as for PPO; the Fisher information is the mean over prompts. `most` is the KL of the longest step. */
async function trpo(task: TabularTask): Promise<TabularResult> {
  const [prompts, completions] = shapeOf(task);
  const states = { mask: tf.ones([prompts]), normaliser: prompts };
  const mask = tf.ones([prompts, completions]);
  const table = (numbers: ArrayLike<number>) =>
    tf.tensor2d(Float32Array.from(numbers), [prompts, completions]);
  let theta = Float64Array.from(task.refLogprobs.flat());
  let most = 0;
  for (let iteration = 0; iteration < 250; iteration++) {
    const old = table(theta);
    const oldLogprobs = tf.logSoftmax(old);
    const advantages = tf.tensor2d(weightedAdvantages(task, oldLogprobs.arraySync() as number[][]));
    const loss = (logits: tf.Tensor) =>
      surrogateLoss({ logprobs: tf.logSoftmax(logits), oldLogprobs, advantages, mask, normaliser: prompts })
        .loss;
    const g = Float64Array.from(tf.grad(loss)(old).dataSync(), (x) => -x);
    const identity = (logits: tf.Tensor) => tf.mul(logits, 1) as tf.Tensor2D;
    const fisher = async (v: Float64Array) =>
      Float64Array.from(fisherVectorProduct(identity, [old], [table(v)], states)[0]!.dataSync());
    const { x, curvature } = await conjugateGradient(fisher, g, { iterations: 10, damping: 1e-3 });
    const stepped = (scale: number) => theta.map((number, i) => number + scale * x[i]!);
    const attempt = async (scale: number) => {
      const logits = table(stepped(scale));
      const kl = tf.mean(categoricalKl(old, logits)).arraySync() as number;
      return { kl, improvement: loss(old).arraySync() - loss(logits).arraySync() };
    };
    const { accepted } = await lineSearch(attempt, {
      size: stepSize(TABULAR_DELTA, curvature),
      delta: TABULAR_DELTA,
      backtrackCoef: 0.8,
      backtrackIterations: 10,
    });
    most = Math.max(most, accepted?.kl ?? 0);
    if (accepted) theta = stepped(accepted.scale);
  }
  return { logits: table(theta), most };
}

/**
 * The "batch" is every completion, one token long, weighted by pi_old(y). Since the surrogate is positively homogeneous in A,
 * the weight goes into the advantage, and the normaliser is the number of prompts.
 */
function ppoClip(task: TabularTask): TabularResult {
  const [prompts, completions] = shapeOf(task);
  const mask = tf.ones([prompts, completions]);
  const optimizer = tableOptimizer(task);
  let most = 0;
  for (let iteration = 0; iteration < 300; iteration++) {
    const oldLogprobs = tf.logSoftmax(optimizer.logits());
    const advantages = tf.tensor2d(weightedAdvantages(task, oldLogprobs.arraySync() as number[][]));
    const surrogate = (logits: tf.Tensor) => {
      const logprobs = tf.logSoftmax(logits);
      return ppoPolicyLoss({ logprobs, oldLogprobs, advantages, mask, cliprange: 0.2, normaliser: prompts });
    };
    for (let epoch = 0; epoch < 4; epoch++)
      optimizer.step(0.1 * (1 - iteration / 300), (logits) => surrogate(logits).loss);
    most = Math.max(most, surrogate(optimizer.logits()).stats.clipfrac.arraySync());
  }
  return { logits: optimizer.logits(), most: most / completions };
}

/** As above, with the weights pi_old(y) apart from the advantages, because they weigh the penalty too. `most` is its greatest beta. */
function ppoPenalty(task: TabularTask): TabularResult {
  const [prompts, completions] = shapeOf(task);
  const mask = tf.ones([prompts, completions]);
  const optimizer = tableOptimizer(task);
  let [penalty, most] = [1, 0];
  for (let iteration = 0; iteration < 300; iteration++) {
    const oldLogprobs = tf.logSoftmax(optimizer.logits());
    const weights = tf.exp(oldLogprobs);
    const weighted = weightedAdvantages(task, oldLogprobs.arraySync() as number[][]);
    const advantages = tf.div(tf.tensor2d(weighted), weights);
    const surrogate = (logits: tf.Tensor) => {
      const batch = { logprobs: tf.logSoftmax(logits), oldLogprobs, advantages, weights, mask };
      return ppoPenaltyLoss({ ...batch, beta: penalty, normaliser: prompts });
    };
    for (let epoch = 0; epoch < 4; epoch++)
      optimizer.step(0.1 * (1 - iteration / 300), (logits) => surrogate(logits).loss);
    const kl = surrogate(optimizer.logits()).stats.kl.arraySync();
    penalty = adaptPenalty(penalty, { kl, target: 0.005 });
    most = Math.max(most, penalty);
  }
  return { logits: optimizer.logits(), most };
}

/** All pairs of completions of a prompt, each with the label that a Bradley-Terry labeler gives it on average. */
function dpo(task: TabularTask): TabularResult {
  return overPairs(task, 600, () => 1);
}

/** Pairs of samples of the policy as it is, labelled by sigma(r_i - r_j): two samples are one pair in either order. */
function onlineDpo(task: TabularTask): TabularResult {
  return overPairs(task, 800, (a, b) => 2 * a * b);
}

/** @param weightOf what a pair counts by the probabilities of its completions, which are no part of the gradient */
function overPairs(
  task: TabularTask,
  steps: number,
  weightOf: (a: number, b: number) => number,
): TabularResult {
  const { beta, refLogprobs, rewards } = task;
  const [prompts, completions] = shapeOf(task);
  const pairs = rewards.flatMap((row, x) =>
    row.flatMap((r_i, i) => row.slice(0, i).map((r_j, j) => ({ x, i, j, r_i, r_j }))),
  );
  const flat = (of: 'i' | 'j') =>
    tf.tensor1d(
      pairs.map((pair) => pair.x * completions + pair[of]),
      'int32',
    );
  const [first, second] = [flat('i'), flat('j')];
  // The expectation of the loss over the label is the loss with that soft label, a label smoothing of sigma(r_j - r_i).
  const labelSmoothing = tf.tensor1d(pairs.map(({ r_i, r_j }) => 1 / (1 + Math.exp(r_i - r_j))));
  const ref = tf.tensor1d(refLogprobs.flat());
  const lengths = tf.ones([pairs.length]);
  const optimizer = tableOptimizer(task);
  for (let step = 0; step < steps; step++) {
    const policy = tf.softmax(optimizer.logits()).arraySync() as number[][];
    const mask = tf.tensor1d(pairs.map(({ x, i, j }) => weightOf(policy[x]![i]!, policy[x]![j]!)));
    optimizer.step(0.2 * (1 - step / steps), (logits) => {
      const logprobs = tf.reshape(tf.logSoftmax(logits), [prompts * completions]);
      const side = (ids: tf.Tensor1D) => {
        const logps = tf.gather(logprobs, ids);
        return { logps, logratios: tf.sub(logps, tf.gather(ref, ids)), lengths };
      };
      return dpoLoss({
        chosen: side(first),
        rejected: side(second),
        beta,
        labelSmoothing,
        mask,
        normaliser: prompts,
      }).loss;
    });
  }
  return { logits: optimizer.logits() };
}

const shapeOf = ({ rewards }: TabularTask): [prompts: number, completions: number] => [
  rewards.length,
  rewards[0]!.length,
];

/** pi_old(y) A(y), with A(y) = r(y) - klCoef log(pi_old(y) / ref(y)) less its expectation under pi_old. @internal */
export function weightedAdvantages(
  { beta, refLogprobs, rewards }: TabularTask,
  oldLogprobs: Matrix,
  klCoef = beta,
): number[][] {
  return oldLogprobs.map((row, x) => {
    const regularised = row.map((logprob, y) => {
      const response = { logprobs: [logprob], refLogprobs: [refLogprobs[x]![y]!], endedWithEos: true };
      return rlhfReward({ ...response, score: rewards[x]![y]! }, { klCoef }).rlhfReward;
    });
    const baseline = row.reduce((sum, logprob, y) => sum + Math.exp(logprob) * regularised[y]!, 0);
    return row.map((logprob, y) => Math.exp(logprob) * (regularised[y]! - baseline));
  });
}

/** AdamW over a table of logits, which begins at the reference. @internal */
export function tableOptimizer({ refLogprobs }: TabularTask) {
  const [beta1, beta2] = [0.9, 0.99];
  let p: tf.Tensor = tf.tensor2d(refLogprobs as number[][]);
  let m: tf.Tensor = tf.zerosLike(p);
  let v: tf.Tensor = tf.zerosLike(p);
  let t = 0;
  return {
    logits: () => p as tf.Tensor2D,
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
