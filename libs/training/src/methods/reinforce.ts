/** RLHF by REINFORCE with a baseline: one update a step by the policy gradient of its own samples (Ahmadian et al. 2024). */
import {
  baselineAdvantages,
  entropyFromLogits,
  reinforceLoss,
  selectiveLogSoftmax,
} from '@rlhf-streams/alignment';
import type { ConfigOf } from '@rlhf-streams/runs';
import type { Models } from '../trainer/layout.js';
import type { LossProgram } from '../trainer/program.js';
import {
  heldOutMetrics,
  rewardResult,
  rewardsOf,
  rolloutMetrics,
  rolloutsOf,
  sequenceOf,
} from './episodes.js';
import { divisorOf, nextTokenLogits } from './forward.js';
import { klInputs, klLossMetrics, klNumbers, withKlLoss } from './kl-loss.js';
import { learningRate } from './learning-rate.js';
import { limitsOf, type Method } from './method.js';
import { sequenceBatches, sequenceInputs } from './rows.js';

export const reinforce: Method<'reinforce'> = {
  start: () => ({}),

  programs: (config, models) => ({ gradients: { reinforce: lossProgram(config, models) } }),

  async update(step, items) {
    const { config, carry } = step;
    const { baseline, klCoef } = config.reinforce;

    const rollouts = rolloutsOf(step, items);
    const { rewards, ...scored } = rewardsOf(rollouts, config.reinforce, { klCoef, carry });
    const advantages = baselineAdvantages(
      rollouts.map(({ rollout: { prompt } }, i) => ({ prompt, reward: rewards[i]!.rlhfReward })),
      baseline,
    );

    const { batches, byToken } = sequenceBatches(rollouts.map(sequenceOf), limitsOf(step, 'policy'), {
      advantages: rollouts.map(({ rollout: { tokens } }, i) => tokens.map(() => advantages[i]!)),
      ...klNumbers(config.reinforce.klLoss, rollouts),
    });
    const lr = learningRate(config, step.step);
    const { stats, outputs } = await step.trainer.update('reinforce', batches, {
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
        grad_norm: stats.gradNorm!,
        lr,
        episode,
      },
      carry: { ...scored.carry, episode },
      results: rollouts.map(({ id }, i) => ({
        item: id,
        ...rewardResult(rewards[i]!),
        advantage: advantages[i]!,
        entropy: [...entropies[i]!],
      })),
    };
  },

  evaluate: async ({ config }, items) => heldOutMetrics(items, config.reinforce),
};

const lossProgram = ({ sampling, reinforce }: ConfigOf<'reinforce'>, models: Models): LossProgram => ({
  roles: ['policy'],
  inputs: sequenceInputs('advantages', ...klInputs(reinforce.klLoss)),
  loss({ policy }, batch, normaliser) {
    const temperature = divisorOf(sampling);
    const logits = nextTokenLogits(models.policy!, policy, batch);
    const logprobs = selectiveLogSoftmax(logits, batch.next!, temperature);
    const { advantages, mask } = batch;
    const pi = reinforceLoss({ logprobs, advantages: advantages!, mask: mask!, normaliser });
    const { loss, stats } = withKlLoss(reinforce.klLoss, pi.loss, { logprobs, batch, normaliser });
    return {
      loss,
      stats: { ...stats, ...(reinforce.klLoss && { policyLoss: pi.loss }) },
      outputs: { entropy: entropyFromLogits(logits, temperature) },
    };
  },
});

/** The mean over all tokens. */
function meanOf(rows: readonly Float32Array[]): number {
  const numbers = rows.flatMap((row) => [...row]);
  return numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
}
