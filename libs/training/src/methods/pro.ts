import { meanLogprobs, proLoss } from '@rlhf-streams/alignment';
import type { Item } from '@rlhf-streams/runs';
import { float32, type Specs } from '@rlhf-streams/tensor';
import type { BatchShape, LossProgram, MicroBatch } from '../trainer/program.js';
import { nextTokenLogprobs } from './forward.js';
import { learningRate } from './learning-rate.js';
import { limitsOf, type Method, type Metrics, ofHeldOut, type Step } from './method.js';
import {
  nothingLearned,
  pairCount,
  preferenceInputs,
  preferences,
  type Ranking,
  rankingBatches,
  rankingResults,
  rankingsOf,
  sequencesOf,
  sharesOfBest,
} from './rankings.js';
import { responseBatch, responseInputs, responsesOf } from './responses.js';

/** Preference ranking optimisation: the mean log-prob of a completion's tokens is the score that a ranking is learned by. */
export const pro: Method<'pro'> = {
  start: () => ({}),

  programs({ pro: { temperatures } }, { policy: model }) {
    const loss: LossProgram = {
      roles: ['policy'],
      inputs: rankingInputs(temperatures),
      loss({ policy }, batch, normaliser) {
        const scores = meanLogprobs(responsesOf(nextTokenLogprobs(model!, policy, batch), batch));
        const { prefers, gaps, stages, best, sftCoef } = batch;
        return {
          ...proLoss({
            scores,
            prefers: prefers!,
            ...(gaps && { gaps }),
            stages: stages!,
            best: best!,
            sftCoef: sftCoef!,
            normaliser,
          }),
          outputs: { scores },
        };
      },
    };
    return { gradients: { pro: loss }, losses: { pro: loss } };
  },

  async update(step, items) {
    const { rankings, groups, batches } = batchesOf(step, items);
    if (rankings.length === 0) return nothingLearned(step.carry);
    const lr = learningRate(step.config, step.step);
    const { stats, outputs } = await step.trainer.update('pro', batches, {
      normaliser: rankings.length,
      learningRate: lr,
    });
    return {
      metrics: { ...metricsOf(stats), pairs: pairCount(rankings), grad_norm: stats.gradNorm!, lr },
      carry: step.carry,
      results: rankingResults(groups, outputs, items, { from: 'scores', to: 'rewards' }),
    };
  },

  async evaluate(step, items): Promise<Metrics> {
    const { rankings, batches } = batchesOf(step, items);
    if (rankings.length === 0) return { 'eval/pairs': 0 };
    const { stats } = await step.trainer.evaluate('pro', batches, rankings.length);
    return ofHeldOut({ ...metricsOf(stats), pairs: pairCount(rankings) });
  },
};

const metricsOf = (stats: Readonly<Record<string, number>>): Metrics => ({
  loss: stats.loss!,
  'loss/pro': stats.proLoss!,
  nll_loss: stats.nllLoss!,
  'rewards/chosen': stats.rewardsChosen!,
  'rewards/rejected': stats.rewardsRejected!,
  'rewards/accuracies': stats.rewardsAccuracies!,
  'rewards/margins': stats.rewardsMargins!,
});

type Settings = Step<'pro'>['config']['pro'];

function batchesOf(step: Step<'pro'>, items: readonly Item[]) {
  const settings = step.config.pro;
  const rankings = rankingsOf(items, settings.pairs === 'listwise' ? 'all' : 'best_rest');
  return rankingBatches(rankings, limitsOf(step, 'policy'), (group, shape) =>
    rankingBatch(group, shape, settings),
  );
}

const rankingInputs =
  (temperatures: Settings['temperatures']) =>
  (shape: BatchShape): Specs => ({
    ...responseInputs(shape, { reference: false }),
    ...preferenceInputs(shape),
    ...(temperatures === 'reward_gaps' && { gaps: float32(shape.rows, shape.rows) }),
    stages: float32(shape.rows),
    best: float32(shape.rows),
    sftCoef: float32(shape.rows),
  });

/** What `proLoss` takes of each row, besides its log-probs. */
function rankingBatch(
  rankings: readonly Ranking[],
  shape: BatchShape,
  { pairs, temperatures, sftCoef }: Settings,
): MicroBatch {
  const sequences = sequencesOf(rankings);
  const byRow = (of: (ranking: Ranking) => readonly number[]) => {
    const numbers = new Float32Array(shape.rows);
    numbers.set(rankings.flatMap(of));
    return numbers;
  };
  const best = byRow(sharesOfBest);
  return {
    specs: rankingInputs(temperatures)(shape),
    buffers: {
      ...responseBatch(sequences, shape).buffers,
      ...preferences(rankings, shape),
      ...(temperatures === 'reward_gaps' && { gaps: rewardGaps(rankings, shape) }),
      stages: pairs === 'listwise' ? byRow(({ sequences }) => sequences.map(() => 1)) : best,
      best,
      sftCoef: byRow(({ item, sequences }) => {
        const { length: K } = item.comparison.completions;
        return sequences.map(() => sftCoef ?? 0.05 * (K - 1) ** 2);
      }),
    },
  };
}

/** [rows, rows]: by how much a row is better than one that it is preferred to. */
function rewardGaps(rankings: readonly Ranking[], { rows }: BatchShape): Float32Array {
  const gaps = new Float32Array(rows * rows);
  let first = 0;
  for (const { item, places, pairs } of rankings) {
    const { completions, ranks } = item.comparison;
    const [scores, order] = [
      places.map((place) => completions[place]!.score),
      places.map((place) => -ranks[place]!),
    ];
    const isOrdered = pairs.every(([a, b]) => (scores[a] ?? Number.NaN) > (scores[b] ?? Number.NaN));
    const rewards = isOrdered ? (scores as number[]) : order;
    for (const [a, b] of pairs) gaps[(first + a) * rows + first + b] = rewards[a]! - rewards[b]!;
    first += places.length;
  }
  return gaps;
}
