import type { Item } from '@rlhf-streams/runs';
import { describe, expect, it } from 'vitest';
import { episodeItem } from '../tiny.test.support.js';
import { rewardsOf, rolloutMetrics, rolloutsOf } from './episodes.js';

interface Said {
  readonly prompt: number;
  readonly length: number;
  readonly score: number;
  readonly finishReason?: 'stop' | 'length';
}

/** The metrics of a step of such rollouts. */
function metricsOf(said: readonly Said[], scoreClip?: number) {
  const items = said.map(({ prompt, length, score, finishReason = 'stop' }, i): Item => {
    const logprobs = Array.from({ length }, () => -1);
    const sequence = { promptTokens: [0], tokens: logprobs.map((_, t) => 1 + t) };
    return episodeItem(`tiny/0/${prompt}/${i}`, sequence, {
      logprobs,
      reference: logprobs,
      score,
      finishReason,
    });
  });
  const rollouts = rolloutsOf({ step: 0 }, items);
  const settings = {
    klEstimator: 'k1',
    missingEosPenalty: 0,
    scoreNormalisation: 'none',
    scoreClip,
  } as const;
  const { rewards } = rewardsOf(rollouts, settings, { klCoef: 0, carry: {} });
  return rolloutMetrics(rollouts, rewards);
}

describe('metrics that warn', () => {
  it('tell the share of completions that were cut', () => {
    const said = (['stop', 'length', 'length', 'length'] as const).map((finishReason, prompt) => {
      return { prompt, length: 2, score: 0, finishReason };
    });
    expect(metricsOf(said)).toMatchObject({ 'completions/clipped_ratio': 0.75, 'val/num_eos_tokens': 1 });
  });

  it('tell the share of prompts whose samples have the same score as it is used, where there are several', () => {
    const scores = [
      [1, 1],
      [0, 1],
      [5, 6],
      [2, 3],
    ];
    const said = scores.flatMap((pair, prompt) => pair.map((score) => ({ prompt, length: 2, score })));
    expect(metricsOf(said)).toMatchObject({ frac_reward_zero_std: 0.25 });
    expect(metricsOf(said, 4)).toMatchObject({ frac_reward_zero_std: 0.5 });
    const alone = said.map((each, prompt) => ({ ...each, prompt }));
    expect(metricsOf(alone)).not.toHaveProperty('frac_reward_zero_std');
  });

  it('tell how length and score go together, of enough rollouts', () => {
    const said = Array.from({ length: 16 }, (_, i) => ({
      prompt: i,
      length: 1 + (i % 5),
      score: 2 * (i % 5),
    }));
    expect(metricsOf(said)['rollout/length_score_correlation']).toBeCloseTo(1, 10);
    expect(metricsOf(said.slice(1))).not.toHaveProperty('rollout/length_score_correlation');
    const equal = said.map((each) => ({ ...each, score: 3 }));
    expect(metricsOf(equal)).not.toHaveProperty('rollout/length_score_correlation');
  });
});
