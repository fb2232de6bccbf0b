/** Online DPO: fresh samples of the policy are ranked, and compared by a loss of DPO's family (Guo et al. 2024). */
import { drawnRanks, scoreRanks } from '@rlhf-streams/alignment';
import { keyFor, uniform } from '@rlhf-streams/model';
import type { Item } from '@rlhf-streams/runs';
import type { Buffers } from '@rlhf-streams/tensor';
import {
  type ComparisonBatches,
  comparisonBatches,
  comparisonLoss,
  comparisonMetrics,
  comparisonResults,
} from './dpo-family.js';
import {
  heldOutMetrics,
  type Reward,
  type Rollout,
  rewardsOf,
  rolloutMetrics,
  rolloutsOf,
} from './episodes.js';
import { divisorOf } from './forward.js';
import { learningRate } from './learning-rate.js';
import {
  type ItemResult,
  limitsOf,
  type Method,
  type Metrics,
  type Step,
  type StepResult,
} from './method.js';
import { type Compared, compareSamples } from './rank.js';

export const onlineDpo: Method<'onlineDpo'> = {
  start: () => ({}),

  programs: ({ onlineDpo, sampling }, { policy: model }) => ({
    gradients: { dpo: comparisonLoss(model!, onlineDpo, divisorOf(sampling)) },
  }),

  async update(step, items): Promise<StepResult> {
    const { config, carry } = step;
    const rollouts = rolloutsOf(step, items);
    const rewards = rewardsOfDpo(step, rollouts);
    const compared = comparedBy(step, rollouts, rewards);
    const comparisons = compared.map(({ comparison }) => comparison);
    const ranked = compared.map(asItem);

    const batches = comparisonBatches(ranked, config.onlineDpo, limitsOf(step, 'policy'));
    const { learned, outputs } = await learnFrom(step, batches);
    const episode = (carry.episode ?? 0) + rollouts.length;
    const implicit = implicitRewards(compared, comparisonResults(batches, outputs, ranked));
    return {
      metrics: {
        ...rolloutMetrics(rollouts, rewards),
        ...scoresMargin(compared),
        ...learned,
        episode,
      },
      carry: { episode },
      comparisons,
      results: rollouts.map(({ id }, i) => ({
        item: id,
        score: rewards[i]!.score,
        kl: [...rewards[i]!.kls],
        rank: implicit.get(id)?.rank ?? Number.NaN,
        implicit_reward: implicit.get(id)?.reward ?? Number.NaN,
      })),
    };
  },

  evaluate: async ({ config }, items) => heldOutMetrics(items, rewarding(config)),
};

/** What reports of the reward take: in DPO's objective the KL has the weight beta. */
const rewarding = ({ onlineDpo: { missingEosPenalty } }: Step<'onlineDpo'>['config']) => ({
  missingEosPenalty,
  klEstimator: 'k1' as const,
  scoreNormalisation: 'none' as const,
  scoreClip: undefined,
});

const rewardsOfDpo = ({ config, carry }: Step<'onlineDpo'>, rollouts: readonly Rollout[]): Reward[] =>
  rewardsOf(rollouts, rewarding(config), { klCoef: config.onlineDpo.beta, carry }).rewards;

/**
 * The samples of each prompt, ranked by their scores, or by a draw from them. Draws are functions of the run's seed and the
 * id of a rollout, so that a step that is done again ranks alike.
 */
function comparedBy(
  { config: { onlineDpo, seed } }: Step<'onlineDpo'>,
  rollouts: readonly Rollout[],
  rewards: readonly Reward[],
): Compared<Rollout>[] {
  const scores = new Map(rollouts.map(({ id }, i) => [id, rewards[i]!.score]));
  const scoreOf = ({ id }: Rollout) => scores.get(id)!;
  if (onlineDpo.labels === 'scores') return compareSamples(rollouts, { scoreOf, ranksOf: scoreRanks });
  return compareSamples(rollouts, {
    scoreOf,
    ranksOf: (scores, samples) =>
      drawnRanks(
        scores,
        samples.map(({ id }) => labelDraw(seed, id)),
      ),
    labelerOf: (scorer) => `drawn by ${scorer}`,
  });
}

/** Apart from the draws of the rollout's tokens, which have its id as their key. */
const labelDraw = (seed: number, id: string): number => uniform(keyFor(seed, `${id}/label`), 0);

/** A comparison with the log-probs under the reference that came with its samples. */
const asItem = ({ comparison, samples }: Compared<Rollout>): Item => ({
  id: comparison.comparison,
  comparison,
  reference: {
    ...samples[0]!.reference,
    subject: comparison.comparison,
    logprobs: samples.map(({ reference }) => reference.logprobs[0]!),
  },
});

/** One update by the pairs of a step. Where all groups tie, none of the weights changes, and none of the moments. */
async function learnFrom(
  step: Step<'onlineDpo'>,
  compared: ComparisonBatches,
): Promise<{ learned: Metrics; outputs: readonly Buffers[] }> {
  if (compared.rankings.length === 0) return { learned: { pairs: 0 }, outputs: [] };
  const lr = learningRate(step.config, step.step);
  const { stats, outputs } = await step.trainer.update('dpo', compared.batches, {
    normaliser: compared.rankings.length,
    learningRate: lr,
  });
  return {
    learned: { ...comparisonMetrics(stats, compared), grad_norm: stats.gradNorm!, lr },
    outputs,
  };
}

/** Of each rollout that was compared its rank, and its implicit reward: NaN where it is in no pair. */
function implicitRewards(
  compared: readonly Compared<Rollout>[],
  results: readonly ItemResult[],
): Map<string, { rank: number; reward: number }> {
  const rewards = new Map(results.map(({ item, rewards }) => [item, rewards as readonly number[]]));
  return new Map(
    compared.flatMap(({ comparison: { comparison, ranks }, samples }) =>
      samples.map(({ id }, i) => [
        id,
        { rank: ranks[i]!, reward: rewards.get(comparison)?.[i] ?? Number.NaN },
      ]),
    ),
  );
}

/** How much the sample that is ranked best scores above the one ranked worst: the mean over prompts, where any are compared. */
function scoresMargin(compared: readonly Compared<Rollout>[]): Metrics {
  if (compared.length === 0) return {};
  const margins = compared.map(({ comparison: { completions, ranks } }) => {
    const [best, worst] = [Math.min(...ranks), Math.max(...ranks)];
    return completions[ranks.indexOf(best)]!.score! - completions[ranks.indexOf(worst)]!.score!;
  });
  return { 'objective/scores_margin': margins.reduce((sum, x) => sum + x, 0) / margins.length };
}
