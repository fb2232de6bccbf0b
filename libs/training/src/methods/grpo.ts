/** RLHF by group relative policy optimisation: Shao et al. 2024, algorithm 1, without its outer loop over reward models. */
import {
  groupAdvantages,
  maskedMean,
  ppoPolicyLoss,
  tokenVariance,
  tokenWeights,
} from '@rlhf-streams/alignment';
import type { ConfigOf } from '@rlhf-streams/runs';
import type { Models } from '../trainer/layout.js';
import type { LossProgram } from '../trainer/program.js';
import {
  type Correction,
  heldOutMetrics,
  importanceCorrection,
  type Rollout,
  rewardResult,
  rewardsOf,
  rolloutMetrics,
  rolloutsOf,
  sequenceOf,
} from './episodes.js';
import { divisorOf, nextTokens } from './forward.js';
import { inferPerToken, logprobProgram } from './inference.js';
import { klInputs, klLossMetrics, klNumbers, withKlLoss } from './kl-loss.js';
import { learningRate } from './learning-rate.js';
import { limitsOf, type Method, type Metrics, type Step } from './method.js';
import { shuffled, split } from './mini-batches.js';
import { sequenceBatches, sequenceInputs, tokenCount } from './rows.js';

export const grpo: Method<'grpo'> = {
  start: () => ({}),

  programs: (config, models) => ({
    gradients: { [GRPO]: lossProgram(config, models) },
    ...(config.grpo.importanceSampling && { inference: { [LOGPROBS]: logprobProgram(config, models) } }),
  }),

  async update(step, items) {
    const { config, carry } = step;
    const { numIterations, numMiniBatches, importanceSampling, scaleRewards } = config.grpo;

    const rollouts = rolloutsOf(step, items);
    const { rewards, ...scored } = rewardsOf(rollouts, rewardSettings(config), { klCoef: 0, carry });
    const samples = rollouts.map(({ rollout: { prompt } }, i) => ({
      prompt,
      reward: rewards[i]!.rlhfReward,
    }));
    const advantages = groupAdvantages(samples, { scaleRewards });
    const { corrections, metrics: corrected } = await importanceCorrection(
      step,
      rollouts,
      importanceSampling,
      (sequences) => inferPerToken(step, LOGPROBS, sequences),
    );
    const episodes = rollouts.map(
      (rollout, i): Episode => ({ rollout, ...corrections[i]!, advantage: advantages[i]! }),
    );

    const lr = learningRate(config, step.step);
    const updates: Update[] = [];
    for (let iteration = 0; iteration < numIterations; iteration++) {
      const pass = step.step * numIterations + iteration;
      for (const miniBatch of split(shuffled(episodes, config.seed, pass), numMiniBatches))
        updates.push(await updateBy(step, miniBatch, lr));
    }

    const entropies = new Map(updates.toReversed().flatMap(({ entropies }) => [...entropies]));
    const episode = (carry.episode ?? 0) + episodes.length;
    return {
      metrics: {
        ...rolloutMetrics(rollouts, rewards),
        ...scored.metrics,
        ...corrected,
        ...updateMetrics(updates.map(({ stats }) => stats)),
        lr,
        episode,
      },
      carry: { ...scored.carry, episode },
      results: episodes.map((episode, i) => ({
        item: rollouts[i]!.id,
        ...rewardResult(rewards[i]!),
        advantage: episode.advantage,
        entropy: [...entropies.get(episode)!],
      })),
    };
  },

  evaluate: async ({ config }, items) => heldOutMetrics(items, rewardSettings(config)),
};

const GRPO = 'grpo';
const LOGPROBS = 'log-probs';

type Config = ConfigOf<'grpo'>;

/** The KL has no part in the reward: k1 is how it is measured. */
const rewardSettings = ({ grpo }: Config) => ({ ...grpo, klEstimator: 'k1' }) as const;

/** It is a term of the loss, as in the paper's equation 3. */
const klLossOf = ({ grpo: { beta, klEstimator } }: Config) =>
  beta > 0 ? { estimator: klEstimator, coef: beta } : undefined;

/** What an update needs of a rollout. */
interface Episode extends Correction {
  readonly rollout: Rollout;
  readonly advantage: number;
}

interface Update {
  readonly stats: Readonly<Record<string, number>>;
  /** The entropy of the policy before the update, one number a token. */
  readonly entropies: ReadonlyMap<Episode, Float32Array>;
}

/** One update by a mini-batch: its gradient is computed in micro-batches. */
async function updateBy(step: Step<'grpo'>, miniBatch: readonly Episode[], lr: number): Promise<Update> {
  const { config } = step;
  const rollouts = miniBatch.map(({ rollout }) => rollout);
  const sequences = rollouts.map(sequenceOf);
  const lengths = sequences.map(({ tokens }) => tokens.length);
  const ofResponse = tokenWeights(lengths, {
    lossType: config.grpo.lossType,
    maxLength: config.sampling.maxNewTokens,
  });
  const byTokenOf = (of: (episode: Episode, i: number, t: number) => number) =>
    miniBatch.map((episode, i) => Array.from({ length: lengths[i]! }, (_, t) => of(episode, i, t)));
  const { batches, byToken } = sequenceBatches(sequences, limitsOf(step, 'policy'), {
    oldLogprobs: miniBatch.map(({ oldLogprobs }) => oldLogprobs),
    advantages: byTokenOf(({ advantage }) => advantage),
    weights: byTokenOf(({ weights }, i, t) => ofResponse[i]! * (weights?.[t] ?? 1)),
    ...klNumbers(klLossOf(config), rollouts),
  });
  const { stats, outputs } = await step.trainer.update(GRPO, batches, {
    normaliser: tokenCount(sequences),
    learningRate: lr,
  });
  const entropies = byToken(outputs, 'entropy');
  return { stats, entropies: new Map(miniBatch.map((episode, i) => [episode, entropies[i]!])) };
}

/** The clipped surrogate, and beta times the KL, each token with its weight. */
const lossProgram = (config: Config, models: Models): LossProgram => ({
  roles: ['policy'],
  inputs: sequenceInputs('oldLogprobs', 'advantages', 'weights', ...klInputs(klLossOf(config))),
  loss({ policy }, batch, normaliser) {
    const { oldLogprobs, advantages, weights } = batch;
    const mask = batch.mask!;
    const temperature = divisorOf(config.sampling);
    const { logprobs, entropy } = nextTokens(models.policy!, policy, batch, { temperature });
    const pi = ppoPolicyLoss({
      logprobs,
      oldLogprobs: oldLogprobs!,
      advantages: advantages!,
      weights: weights!,
      mask,
      cliprange: config.grpo.epsilon,
      cliprangeHigh: config.grpo.epsilonHigh,
      normaliser,
    });
    const { loss, stats } = withKlLoss(klLossOf(config), pi.loss, { logprobs, weights, batch, normaliser });
    return {
      loss,
      stats: {
        ...pi.stats,
        ...stats,
        policyLoss: pi.loss,
        entropy: maskedMean(entropy, mask, normaliser),
      },
      outputs: { entropy },
    };
  },
});

/** Means over the updates of a step. */
function updateMetrics(updates: readonly Readonly<Record<string, number>>[]): Metrics {
  const mean = (name: string) => updates.reduce((sum, update) => sum + update[name]!, 0) / updates.length;
  return {
    'policy/approxkl_avg': mean('approxKl'),
    'policy/clipfrac_avg': mean('clipfrac'),
    'policy/entropy_avg': mean('entropy'),
    'loss/policy_avg': mean('policyLoss'),
    ...('klLoss' in updates[0]! && klLossMetrics({ klLoss: mean('klLoss') })),
    'val/ratio': mean('ratio'),
    // The variance over updates of their mean ratios, which needs two updates.
    ...(updates.length > 1 && { 'val/ratio_var': tokenVariance([updates.map(({ ratio }) => ratio!)]) }),
    grad_norm: mean('gradNorm'),
  };
}
