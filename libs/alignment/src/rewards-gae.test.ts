import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { gae } from './gae.js';
import { expectClose, golden, type Matrix, ragged } from './golden.test.support.js';
import type { KlEstimator } from './kl.js';
import { rlhfReward } from './rewards.js';
import { tokenMean, whiten } from './statistics.js';

interface Case {
  name: string;
  params: {
    gamma: number;
    lam: number;
    kl_estimator: KlEstimator;
    missing_eos_penalty: number | null;
    whiten_rewards: boolean;
    kl_coef: number;
  };
  inputs: { logprobs: Matrix; ref_logprobs: Matrix; values: Matrix; scores: number[] };
  expected: {
    contains_eos: number[];
    padding_mask: Matrix;
    scores_after_penalty: number[];
    last_token: { rewards: Matrix; advantages_raw: Matrix; returns: Matrix; advantages_whitened: Matrix };
    metrics: {
      objective_kl: number;
      objective_non_score_reward: number;
      objective_rlhf_reward: number;
      objective_scores: number;
      objective_entropy_masked: number;
    };
  };
}

describe.each(golden<Case>('ppo_rewards_gae.json'))('golden $name', ({ params, inputs, expected }) => {
  const mask = expected.padding_mask.map((row) => row.map((padding) => 1 - padding));
  const logprobs = ragged(inputs.logprobs, mask);
  const refLogprobs = ragged(inputs.ref_logprobs, mask);
  const values = ragged(inputs.values, mask);
  const rollouts = inputs.scores.map((score, b) =>
    rlhfReward(
      {
        logprobs: logprobs[b]!,
        refLogprobs: refLogprobs[b]!,
        score,
        endedWithEos: expected.contains_eos[b] === 1,
      },
      {
        klCoef: params.kl_coef,
        klEstimator: params.kl_estimator,
        missingEosPenalty: params.missing_eos_penalty ?? 0,
      },
    ),
  );
  const raw = rollouts.map((rollout) => rollout.rewards);
  const rewards = params.whiten_rewards ? whiten(raw, { shiftMean: false }) : raw;
  const trajectories = rewards.map((row, b) => gae({ rewards: row, values: values[b]! }, params));
  const lists = (rows: readonly Float64Array[]) => rows.map((row) => Array.from(row));
  const mean = (key: 'kl' | 'nonScoreReward' | 'rlhfReward' | 'score' | 'entropy') =>
    tokenMean([rollouts.map((rollout) => rollout[key])]);

  test('rewards', () => {
    const scores = rollouts.map((rollout) => rollout.score);
    expectClose(scores, expected.scores_after_penalty, 1e-12);
    expectClose(lists(rewards), ragged(expected.last_token.rewards, mask), 1e-9);
  });

  test('advantages and returns', () => {
    const advantages = trajectories.map((trajectory) => trajectory.advantages);
    expectClose(lists(advantages), ragged(expected.last_token.advantages_raw, mask), 1e-9);
    expectClose(lists(whiten(advantages)), ragged(expected.last_token.advantages_whitened, mask), 1e-9);
    const returns = trajectories.map((trajectory) => trajectory.returns);
    expectClose(lists(returns), ragged(expected.last_token.returns, mask), 1e-9);
  });

  test('objective metrics are means over rollouts', () => {
    expectClose(mean('kl'), expected.metrics.objective_kl, 1e-9);
    expectClose(mean('nonScoreReward'), expected.metrics.objective_non_score_reward, 1e-9);
    expectClose(mean('rlhfReward'), expected.metrics.objective_rlhf_reward, 1e-9);
    expectClose(mean('score'), expected.metrics.objective_scores, 1e-9);
    expectClose(mean('entropy'), expected.metrics.objective_entropy_masked, 1e-9);
  });
});

const number = fc.double({ min: -10, max: 10, noNaN: true });
const trajectory = fc
  .array(fc.tuple(number, number), { minLength: 1, maxLength: 20 })
  .map((steps) => ({ rewards: steps.map(([r]) => r), values: steps.map(([, v]) => v) }));
const gamma = fc.double({ min: 0, max: 1, noNaN: true });

test('with lam = 1 the advantage is the Monte-Carlo return less the value', () => {
  fc.assert(
    fc.property(trajectory, gamma, ({ rewards, values }, g) => {
      const { advantages, returns } = gae({ rewards, values }, { gamma: g, lam: 1 });
      const monteCarlo = rewards.map((_, t) => rewards.slice(t).reduce((sum, r, k) => sum + g ** k * r, 0));
      expectClose(
        Array.from(advantages),
        monteCarlo.map((r, t) => r - values[t]!),
        1e-9,
      );
      expectClose(Array.from(returns), monteCarlo, 1e-9);
    }),
  );
});

test('with lam = 0 the advantage is the temporal-difference error', () => {
  fc.assert(
    fc.property(trajectory, gamma, ({ rewards, values }, g) => {
      const { advantages } = gae({ rewards, values }, { gamma: g, lam: 0 });
      const errors = rewards.map((r, t) => r + g * (values[t + 1] ?? 0) - values[t]!);
      expectClose(Array.from(advantages), errors, 1e-9);
    }),
  );
});

describe('refused', () => {
  const response = { logprobs: [-1, -2], refLogprobs: [-1, -2], score: 1, endedWithEos: true };
  test.each([
    ['an empty response', { logprobs: [], refLogprobs: [] }, 'ALIGNMENT_TOO_FEW'],
    ['log-probs of different lengths', { refLogprobs: [-1] }, 'ALIGNMENT_SHAPE'],
    ['a score that is no number', { score: Number.NaN }, 'ALIGNMENT_NOT_FINITE'],
    ['an infinite log-prob', { logprobs: [-1, Number.NEGATIVE_INFINITY] }, 'ALIGNMENT_NOT_FINITE'],
  ])('%s', (_, change, code) => {
    expect(() => rlhfReward({ ...response, ...change }, { klCoef: 0.1 })).toThrow(
      expect.objectContaining({ code }),
    );
  });

  test('values of another length than the rewards', () => {
    expect(() => gae({ rewards: [1, 2], values: [1] }, { gamma: 1, lam: 1 })).toThrow('2 values');
  });

  test('a value that is no number', () => {
    const trajectory = { rewards: [1, 2], values: [1, Number.NaN] };
    expect(() => gae(trajectory, { gamma: 1, lam: 0 })).toThrow('at token 1');
  });
});
