/** What rollouts of held-out prompts say of the policy that sampled them. */
import { rlhfReward } from '@rlhf-streams/alignment';
import { type ConfigOf, type Item, joined } from '@rlhf-streams/runs';
import type { Metrics } from './method.js';

/** Means over rollouts: the score, the KL from the reference in nats per response, the length in tokens. */
export function heldOutRollouts(config: Pick<ConfigOf<'ppo'>, 'ppo'>, items: readonly Item[]): Metrics {
  if (items.length === 0) return {};
  const rollouts = joined(items, 'rollout', 'reward', 'reference');
  const rewards = rollouts.map(({ rollout, reward, reference }) =>
    rlhfReward(
      {
        logprobs: rollout.logprobs,
        refLogprobs: reference.logprobs[0]!,
        score: reward.score,
        endedWithEos: rollout.finishReason === 'stop',
      },
      { klCoef: 0, klEstimator: config.ppo.klEstimator, missingEosPenalty: config.ppo.missingEosPenalty },
    ),
  );
  const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
  return {
    'eval/objective/scores': mean(rewards.map(({ score }) => score)),
    'eval/objective/kl': mean(rewards.map(({ kl }) => kl)),
    'eval/rollout/length': mean(rollouts.map(({ rollout }) => rollout.tokens.length)),
  };
}
