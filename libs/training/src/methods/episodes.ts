/**
 * Rollouts as the episodes that policy gradients learn from: their rewards, the advantages of their tokens, and what
 * corrects for policies older than the one that is trained. An array has a number for each token of a completion.
 */
import {
  deviationOf,
  equalGroups,
  gae,
  penalisedScore,
  type RlhfReward,
  rlhfReward,
  truncatedImportanceWeights,
  usedScores,
  whiten,
} from '@rlhf-streams/alignment';
import { correlation } from '@rlhf-streams/evaluation';
import { type ConfigOf, type Item, type Joined, joined, type MethodName } from '@rlhf-streams/runs';
import { TrainingError } from '../errors.js';
import type { Carry, Metrics, Step } from './method.js';
import type { Sequence } from './rows.js';

/** A rollout, its score, and its log-probs under the reference. */
export type Rollout = Joined<'rollout' | 'reward' | 'reference'>;

/** @throws TrainingError TRAINING_EMPTY_STEP if a step has none */
export function rolloutsOf({ step }: { readonly step: number }, items: readonly Item[]): Rollout[] {
  if (items.length === 0)
    throw new TrainingError(
      'TRAINING_EMPTY_STEP',
      `expected rollouts in step ${step}, got none: every one failed, see the rollouts and dead-letters topics`,
    );
  return joined(items, 'rollout', 'reward', 'reference');
}

export const sequenceOf = ({ rollout: { promptTokens, tokens } }: Joined<'rollout'>): Sequence => ({
  promptTokens,
  tokens,
});

type ScoreSettings = Pick<ConfigOf<'ppo'>['ppo'], 'missingEosPenalty' | 'scoreNormalisation' | 'scoreClip'>;
type RewardSettings = ScoreSettings & Pick<ConfigOf<'ppo'>['ppo'], 'klEstimator'>;

/** The reward of a rollout. Its `score` is what the scorer gave, less the penalty of a missing end. */
export interface Reward extends RlhfReward {
  /** The score that the reward was made of, where it was normalised or clipped. */
  readonly usedScore?: number;
}

export interface Rewards {
  readonly rewards: Reward[];
  /** What later steps normalise scores by: part of the method's carry. */
  readonly carry: Carry;
  /** What scores were normalised by, and how they were used. */
  readonly metrics: Metrics;
}

/**
 * The reward of each rollout: its score at the last token, less klCoef times the KL from the reference at every token.
 * @param before.carry the method's carry, with the statistics of the scores of the steps before
 */
export function rewardsOf(
  rollouts: readonly Rollout[],
  settings: RewardSettings,
  { klCoef, carry }: { readonly klCoef: number; readonly carry: Carry },
): Rewards {
  const { klEstimator, scoreNormalisation, scoreClip } = settings;
  const scores = rollouts.map((rollout) => scoreOf(rollout, settings));
  const rewarded = (used: readonly number[]) =>
    rollouts.map(({ rollout, reference }, i) => {
      const said = { logprobs: rollout.logprobs, refLogprobs: reference.logprobs[0]! };
      const reward = rlhfReward({ ...said, score: used[i]!, endedWithEos: true }, { klCoef, klEstimator });
      return { ...reward, score: scores[i]! };
    });
  if (scoreNormalisation === 'none' && scoreClip === undefined)
    return { rewards: rewarded(scores), carry: {}, metrics: {} };

  const { scoreCount: count = 0, scoreMean: mean = 0, scoreM2: m2 = 0 } = carry;
  const used = usedScores(scores, {
    normalisation: scoreNormalisation,
    clip: scoreClip,
    before: { count, mean, m2 },
  });
  const { statistics } = used;
  return {
    rewards: rewarded(used.scores).map((reward, i) => ({ ...reward, usedScore: used.scores[i]! })),
    carry:
      scoreNormalisation === 'running'
        ? { scoreCount: statistics.count, scoreMean: statistics.mean, scoreM2: statistics.m2 }
        : {},
    metrics: {
      'objective/used_scores': used.scores.reduce((sum, score) => sum + score, 0) / scores.length,
      'objective/score_clipfrac': used.clipped / scores.length,
      ...(scoreNormalisation !== 'none' && {
        'objective/score_mean': statistics.mean,
        'objective/score_std': deviationOf(statistics),
      }),
    },
  };
}

const scoreOf = (
  { rollout, reward }: Joined<'rollout' | 'reward'>,
  { missingEosPenalty }: Pick<ScoreSettings, 'missingEosPenalty'>,
): number =>
  penalisedScore({ score: reward.score, endedWithEos: rollout.finishReason === 'stop' }, missingEosPenalty);

/** What results say of an item's reward: the same keys of every item of a step. */
export const rewardResult = ({ score, usedScore, rlhfReward, kls }: Reward) => ({
  score,
  ...(usedScore !== undefined && { used_score: usedScore }),
  reward: rlhfReward,
  kl: [...kls],
});

/** Advantages by GAE, whitened over all tokens of the step, and the returns that values are trained towards. */
export function advantagesOf(
  rewards: readonly RlhfReward[],
  values: readonly Float32Array[],
  { gamma, lam, whitenRewards }: Pick<ConfigOf<'ppo'>['ppo'], 'gamma' | 'lam' | 'whitenRewards'>,
): { advantages: Float64Array[]; returns: Float64Array[] } {
  const perToken = rewards.map(({ rewards }) => rewards);
  const shaped = whitenRewards ? whiten(perToken, { shiftMean: false }) : perToken;
  const estimates = shaped.map((rewards, i) => gae({ rewards, values: values[i]! }, { gamma, lam }));
  return {
    advantages: whiten(estimates.map(({ advantages }) => advantages)),
    returns: estimates.map(({ returns }) => returns),
  };
}

/** The policy around which PPO clips, and the weight of each token where another policy sampled. */
export interface Correction {
  readonly oldLogprobs: ArrayLike<number>;
  readonly weights?: Float64Array;
}

/**
 * The decoupled objective for rollouts of older policies (Hilton et al. 2022): the clip is around the proximal policy, which
 * is the policy at the beginning of the step, and importance weights correct for the behaviour policy, which sampled. For
 * rollouts of the policy itself both are the same, with the log-probs that came with them, and the weights are 1. Where all
 * rollouts are, or nothing is to be corrected, there are no weights.
 * @param importanceSampling how it is corrected for, if it is
 * @param logprobsOf log-probs of completions under the policy as it is
 */
export async function importanceCorrection(
  { config, step }: Pick<Step<MethodName>, 'config' | 'step'>,
  rollouts: readonly Rollout[],
  importanceSampling: ConfigOf<'ppo'>['ppo']['importanceSampling'],
  logprobsOf: (sequences: readonly Sequence[]) => Promise<Float32Array[]>,
): Promise<{ corrections: Correction[]; metrics: Metrics }> {
  const uncorrected = rollouts.map(({ rollout }) => ({ oldLogprobs: rollout.logprobs }));
  if (!importanceSampling) return { corrections: uncorrected, metrics: {} };
  // A replay with other hyperparameters trains a policy that sampled none of its rollouts.
  const older = rollouts.filter(
    ({ rollout }) => rollout.run !== config.run || rollout.policyVersion !== step,
  );
  const logprobs = await logprobsOf(older.map(sequenceOf));
  const proximal = new Map(older.map((rollout, i) => [rollout, logprobs[i]!]));
  const corrections = rollouts.map((each) => {
    const behaviourLogprobs = each.rollout.logprobs;
    const oldLogprobs = proximal.get(each) ?? behaviourLogprobs;
    const tokens = { proximalLogprobs: oldLogprobs, behaviourLogprobs };
    return { oldLogprobs, ...truncatedImportanceWeights(tokens, importanceSampling) };
  });
  const weights = corrections.flatMap(({ weights }) => [...weights]);
  const truncated = corrections.reduce((sum, { truncated }) => sum + truncated, 0);
  const metrics = {
    'sampling/importance_sampling_ratio/min': weights.reduce((a, b) => Math.min(a, b)),
    'sampling/importance_sampling_ratio/mean': weights.reduce((a, b) => a + b) / weights.length,
    'sampling/importance_sampling_ratio/max': weights.reduce((a, b) => Math.max(a, b)),
    'sampling/importance_sampling_ratio/truncated': truncated / weights.length,
  };
  return { corrections: older.length > 0 ? corrections : uncorrected, metrics };
}

/** What a step's rollouts are like before any update, by TRL's names: means over rollouts. */
export function rolloutMetrics(rollouts: readonly Rollout[], rewards: readonly Reward[]): Metrics {
  const ended = rollouts.filter(({ rollout }) => rollout.finishReason === 'stop').length;
  const mean = (of: (index: number) => number) =>
    rollouts.reduce((sum, _, i) => sum + of(i), 0) / rollouts.length;
  return {
    'objective/kl': mean((i) => rewards[i]!.kl),
    'objective/entropy': mean((i) => rewards[i]!.entropy),
    'objective/non_score_reward': mean((i) => rewards[i]!.nonScoreReward),
    'objective/rlhf_reward': mean((i) => rewards[i]!.rlhfReward),
    'objective/scores': mean((i) => rewards[i]!.score),
    'val/num_eos_tokens': ended,
    'completions/clipped_ratio': 1 - ended / rollouts.length,
    ...equalScores(rollouts, rewards),
    ...lengthCorrelation(rollouts, rewards),
    'rollout/length': mean((i) => rollouts[i]!.rollout.tokens.length),
    'rollout/staleness': mean((i) => stalenessOf(rollouts[i]!)),
    'rollout/staleness_max': Math.max(...rollouts.map(stalenessOf)),
    ...meanParts(rollouts),
  };
}

/** The share of the prompts whose samples all have the same score, where prompts have several. */
function equalScores(rollouts: readonly Rollout[], rewards: readonly Reward[]): Metrics {
  const samples = rollouts.map(({ rollout: { prompt } }, i) => {
    const { score, usedScore = score } = rewards[i]!;
    return { prompt, reward: usedScore };
  });
  const prompts = new Set(samples.map(({ prompt }) => prompt)).size;
  return prompts < samples.length ? { frac_reward_zero_std: equalGroups(samples) } : {};
}

/** In fewer rollouts a correlation is mostly chance: of 16 it has a standard error of a quarter. */
const LEAST_CORRELATED = 16;

/** The correlation of length and score over rollouts, where both vary. */
function lengthCorrelation(rollouts: readonly Rollout[], rewards: readonly Reward[]): Metrics {
  if (rollouts.length < LEAST_CORRELATED) return {};
  const lengths = rollouts.map(({ rollout }) => rollout.tokens.length);
  const value = correlation(
    lengths,
    rewards.map(({ score }) => score),
  );
  return Number.isFinite(value) ? { 'rollout/length_score_correlation': value } : {};
}

/** What rollouts of held-out prompts say of the policy that sampled them: means over rollouts. */
export function heldOutMetrics(
  items: readonly Item[],
  settings: Pick<RewardSettings, 'klEstimator' | 'missingEosPenalty'>,
): Metrics {
  if (items.length === 0) return {};
  const rollouts = joined(items, 'rollout', 'reward', 'reference');
  const asScored = { ...settings, scoreNormalisation: 'none', scoreClip: undefined } as const;
  const { rewards } = rewardsOf(rollouts, asScored, { klCoef: 0, carry: {} });
  const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
  return {
    'eval/objective/scores': mean(rewards.map(({ score }) => score)),
    'eval/objective/kl': mean(rewards.map(({ kl }) => kl)),
    'eval/rollout/length': mean(rollouts.map(({ rollout }) => rollout.tokens.length)),
  };
}

/** Number of versions by which the policy that sampled is older than the one that is trained. */
const stalenessOf = ({ rollout }: Rollout): number => rollout.step - rollout.policyVersion;

/** The mean of every scorer, also of those that only report, over the rollouts to which it applies. */
export function meanParts(rollouts: readonly Pick<Item, 'reward'>[]): Metrics {
  const names = new Set(rollouts.flatMap(({ reward }) => Object.keys(reward?.parts ?? {})));
  return Object.fromEntries(
    [...names].flatMap((name) => {
      const scores = rollouts.flatMap(({ reward }) => reward?.parts[name] ?? []);
      if (scores.length === 0) return [];
      return [[`scores/${name}`, scores.reduce((sum, score) => sum + score, 0) / scores.length] as const];
    }),
  );
}
