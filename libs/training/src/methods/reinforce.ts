/** RLHF by REINFORCE with a baseline: one update a step by the policy gradient of its own samples (Ahmadian et al. 2024). */
import {
  baselineAdvantages,
  explainedVariance,
  reinforceLoss,
  rewardsToGo,
  tokenAdvantages,
  valueLoss,
} from '@rlhf-streams/alignment';
import type { ConfigOf } from '@rlhf-streams/runs';
import * as tf from '@tensorflow/tfjs';
import type { Models } from '../trainer/layout.js';
import type { LossProgram } from '../trainer/program.js';
import {
  heldOutMetrics,
  type Reward,
  type Rollout,
  rewardResult,
  rewardsOf,
  rolloutMetrics,
  rolloutsOf,
  sequenceOf,
} from './episodes.js';
import { divisorOf, nextTokens, nextTokensAndValues } from './forward.js';
import { inferPerToken, valueProgram } from './inference.js';
import { klInputs, klLossMetrics, klNumbers, withKlLoss } from './kl-loss.js';
import { learningRate } from './learning-rate.js';
import { limitsOf, type Method, type Step } from './method.js';
import { sequenceBatches, sequenceInputs, tokenCount } from './rows.js';

export const reinforce: Method<'reinforce'> = {
  start: () => ({}),

  programs: (config, models) => ({
    gradients: { [REINFORCE]: lossProgram(config, models) },
    ...(models.value && { inference: { [VALUES]: valueProgram(models) } }),
  }),

  async update(step, items) {
    const { config, carry } = step;
    const { klCoef, klLoss } = config.reinforce;

    const rollouts = rolloutsOf(step, items);
    const sequences = rollouts.map(sequenceOf);
    const { rewards, ...scored } = rewardsOf(rollouts, config.reinforce, { klCoef, carry });
    const { advantages, learned, result } = await creditOf(step, rollouts, rewards);

    const { batches, byToken } = sequenceBatches(sequences, limitsOf(step, 'policy'), {
      advantages,
      ...learned?.numbers,
      ...klNumbers(klLoss, rollouts),
    });
    const lr = learningRate(config, step.step);
    const { stats, outputs } = await step.trainer.update(REINFORCE, batches, {
      normaliser: rollouts.length,
      learningRate: lr,
    });

    const entropies = byToken(outputs, 'entropy');
    const episode = (carry.episode ?? 0) + rollouts.length;
    return {
      metrics: {
        ...rolloutMetrics(rollouts, rewards),
        ...scored.metrics,
        'policy/entropy_avg': meanOf(entropies),
        'loss/policy_avg': stats.policyLoss ?? stats.loss!,
        ...klLossMetrics(stats),
        ...(learned && {
          'loss/value_avg': stats.valueLoss!,
          ...(tokenCount(sequences) > 1 && {
            'val/var_explained': explainedVariance(learned.values, learned.returns),
          }),
        }),
        grad_norm: stats.gradNorm!,
        lr,
        episode,
      },
      carry: { ...scored.carry, episode },
      results: rollouts.map(({ id }, i) => ({
        item: id,
        ...rewardResult(rewards[i]!),
        ...result(i),
        entropy: [...entropies[i]!],
      })),
    };
  },

  evaluate: async ({ config }, items) => heldOutMetrics(items, config.reinforce),
};

const REINFORCE = 'reinforce';
const VALUES = 'values';

type Config = ConfigOf<'reinforce'>;

/** What each token is credited with, over a baseline. */
interface Credit {
  readonly advantages: readonly ArrayLike<number>[];
  /** With a value model: what it expected, what it learns, and that as numbers by token. */
  readonly learned?: {
    readonly values: readonly Float32Array[];
    readonly returns: readonly Float64Array[];
    readonly numbers: Readonly<Record<'returns' | 'valueMask', readonly ArrayLike<number>[]>>;
  };
  /** What results say of a rollout. */
  readonly result: (index: number) => Readonly<Record<string, number | readonly number[]>>;
}

async function creditOf(
  step: Step<'reinforce'>,
  rollouts: readonly Rollout[],
  rewards: readonly Reward[],
): Promise<Credit> {
  const { baseline, rewardToGo, gamma } = step.config.reinforce;
  const prompts = rollouts.map(({ rollout }) => rollout.prompt);
  if (baseline !== 'value' && !rewardToGo) {
    const samples = prompts.map((prompt, i) => ({ prompt, reward: rewards[i]!.rlhfReward }));
    const ofResponse = baselineAdvantages(samples, baseline);
    return {
      advantages: rollouts.map(({ rollout: { tokens } }, i) => tokens.map(() => ofResponse[i]!)),
      result: (i) => ({ advantage: ofResponse[i]! }),
    };
  }

  const gains = rewards.map(({ rewards, rlhfReward }) =>
    rewardToGo ? rewardsToGo(rewards, gamma) : new Float64Array(rewards.length).fill(rlhfReward),
  );
  if (baseline !== 'value') {
    const advantages = tokenAdvantages(gains, prompts, baseline);
    return { advantages, result: (i) => ({ advantages: [...advantages[i]!] }) };
  }

  const sequences = rollouts.map(sequenceOf);
  const values = await inferPerToken(step, VALUES, sequences);
  const advantages = gains.map((row, i) => row.map((gain, t) => gain - values[i]![t]!));
  // The policy's loss is a mean over responses, that of the values over tokens: the mask makes up for the difference.
  const share = rollouts.length / tokenCount(sequences);
  const valueMask = gains.map((row) => new Float64Array(row.length).fill(share));
  return {
    advantages,
    learned: { values, returns: gains, numbers: { returns: gains, valueMask } },
    result: (i) => ({
      values: [...values[i]!],
      advantages: [...advantages[i]!],
      returns: [...gains[i]!],
    }),
  };
}

/** The loss of the policy; coef times the KL in the loss, and vf_coef times the loss of the values, where there are any. */
const lossProgram = (config: Config, models: Models): LossProgram => {
  const {
    sampling,
    reinforce: { klLoss, vfCoef },
  } = config;
  return {
    roles: models.value ? ['policy', 'value'] : ['policy'],
    inputs: sequenceInputs(
      'advantages',
      ...(models.value ? ['returns', 'valueMask'] : []),
      ...klInputs(klLoss),
    ),
    loss({ policy, value }, batch, normaliser) {
      const { advantages, mask, returns, valueMask } = batch;
      const temperature = divisorOf(sampling);
      const { logprobs, entropy, values } = models.value
        ? nextTokensAndValues(config, models, { policy, value }, batch, { temperature })
        : { ...nextTokens(models.policy!, policy, batch, { temperature }), values: undefined };
      const pi = reinforceLoss({ logprobs, advantages: advantages!, mask: mask!, normaliser });
      const held = withKlLoss(klLoss, pi.loss, { logprobs, batch, normaliser });
      const outputs = { entropy };
      if (!values)
        return { loss: held.loss, stats: { ...held.stats, ...(klLoss && { policyLoss: pi.loss }) }, outputs };

      const vf = valueLoss({ values, returns: returns!, mask: valueMask!, normaliser });
      return {
        loss: tf.add(held.loss, tf.mul(vfCoef, vf.loss)) as tf.Scalar,
        stats: { ...held.stats, policyLoss: pi.loss, valueLoss: vf.loss },
        outputs,
      };
    },
  };
};

/** The mean over all tokens. */
function meanOf(rows: readonly Float32Array[]): number {
  const numbers = rows.flatMap((row) => [...row]);
  return numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
}
