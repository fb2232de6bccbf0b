import { joined } from '@rlhf-streams/runs';
import { meanParts } from './episodes.js';
import type { Method, Metrics } from './method.js';
import { compareSamples } from './rank.js';

/** Sampling without training: measures a policy by the rollouts of a step, their scores and log-probs. */
export const sample: Method<'sample'> = {
  start: () => ({}),
  programs: () => ({}),

  async update({ config, carry }, items) {
    const metrics: Metrics = { 'rollout/count': items.length };
    if (items.length === 0) return { metrics, carry };
    const episodes = joined(items, 'rollout');
    const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
    metrics['rollout/length'] = mean(episodes.map(({ rollout }) => rollout.tokens.length));
    metrics['val/num_eos_tokens'] = episodes.filter(({ rollout }) => rollout.finishReason === 'stop').length;
    const scores = episodes.flatMap(({ reward }) => (reward ? [reward.score] : []));
    if (scores.length > 0) metrics['objective/scores'] = mean(scores);
    Object.assign(metrics, meanParts(episodes));
    const kl = episodes.flatMap(({ rollout, reference }) =>
      reference ? [rollout.logprobs.reduce((sum, lp, t) => sum + lp - reference.logprobs[0]![t]!, 0)] : [],
    );
    if (kl.length > 0) metrics['objective/kl'] = mean(kl);
    return {
      metrics,
      carry,
      results: episodes.map(({ id, rollout, reward, reference }) => ({
        item: id,
        length: rollout.tokens.length,
        ...(reward && { score: reward.score }),
        ...(reference && { kl: rollout.logprobs.map((lp, t) => lp - reference.logprobs[0]![t]!) }),
      })),
      ...(config.rank && {
        comparisons: compareSamples(joined(items, 'rollout', 'reward')).map(({ comparison }) => comparison),
      }),
    };
  },
};
