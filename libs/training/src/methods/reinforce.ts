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
import { heldOutMetrics, rewardsOf, rolloutMetrics, rolloutsOf, sequenceOf } from './episodes.js';
import { divisorOf, nextTokenLogits } from './forward.js';
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
    const rewards = rewardsOf(rollouts, config.reinforce, klCoef);
    const advantages = baselineAdvantages(
      rollouts.map(({ rollout: { prompt } }, i) => ({ prompt, reward: rewards[i]!.rlhfReward })),
      baseline,
    );

    const { batches, byToken } = sequenceBatches(rollouts.map(sequenceOf), limitsOf(step, 'policy'), {
      advantages: rollouts.map(({ rollout: { tokens } }, i) => tokens.map(() => advantages[i]!)),
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
        'policy/entropy_avg': meanOf(entropies),
        'loss/policy_avg': stats.loss!,
        grad_norm: stats.gradNorm!,
        lr,
        episode,
      },
      carry: { episode },
      results: rollouts.map(({ id }, i) => ({
        item: id,
        score: rewards[i]!.score,
        reward: rewards[i]!.rlhfReward,
        advantage: advantages[i]!,
        kl: [...rewards[i]!.kls],
        entropy: [...entropies[i]!],
      })),
    };
  },

  evaluate: async ({ config }, items) => heldOutMetrics(items, config.reinforce),
};

const lossProgram = ({ sampling }: ConfigOf<'reinforce'>, models: Models): LossProgram => ({
  roles: ['policy'],
  inputs: sequenceInputs('advantages'),
  loss({ policy }, batch, normaliser) {
    const temperature = divisorOf(sampling);
    const logits = nextTokenLogits(models.policy!, policy, batch);
    return {
      ...reinforceLoss({
        logprobs: selectiveLogSoftmax(logits, batch.next!, temperature),
        advantages: batch.advantages!,
        mask: batch.mask!,
        normaliser,
      }),
      outputs: { entropy: entropyFromLogits(logits, temperature) },
    };
  },
});

/** The mean over all tokens. */
function meanOf(rows: readonly Float32Array[]): number {
  const numbers = rows.flatMap((row) => [...row]);
  return numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
}
