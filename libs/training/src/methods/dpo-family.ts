/** What the methods of DPO's family share: the loss of a step's comparisons, whoever made them. */
import { dpoLoss, implicitRewards } from '@rlhf-streams/alignment';
import type { ModelConfig } from '@rlhf-streams/model';
import { type ConfigOf, type Item, isReferenceFree, joined } from '@rlhf-streams/runs';
import type { Buffers, Specs } from '@rlhf-streams/tensor';
import type { BatchShape, LossProgram, MicroBatch } from '../trainer/program.js';
import { nextTokenLogprobs } from './forward.js';
import type { ItemResult, Metrics } from './method.js';
import {
  eachAgainstEach,
  type Pairing,
  pairCount,
  preferenceInputs,
  preferences,
  type Ranking,
  rankingBatches,
  rankingResults,
  rankingsOf,
  sequencesOf,
} from './rankings.js';
import { responseBatch, responseInputs, responsesOf } from './responses.js';
import type { Limits } from './rows.js';

type Settings = Pick<
  ConfigOf<'dpo'>['dpo'],
  'beta' | 'lossType' | 'labelSmoothing' | 'alpha' | 'simpoGamma' | 'pairs'
>;

/**
 * The loss of the family over the pairs of a micro-batch.
 * @param temperature of the policy, and of the log-probs under the reference
 */
export const comparisonLoss = (
  model: ModelConfig,
  { beta, lossType, labelSmoothing, alpha, simpoGamma }: Settings,
  temperature = 1,
): LossProgram => ({
  roles: ['policy'],
  inputs: (shape) => comparisonInputs(shape, { reference: !isReferenceFree({ lossType }) }),
  loss({ policy }, batch, normaliser) {
    const responses = responsesOf(nextTokenLogprobs(model, policy, batch, temperature), batch);
    const side = (place: 0 | 1) => ({
      logps: eachAgainstEach(responses.logps)[place],
      logratios: eachAgainstEach(responses.logratios)[place],
      lengths: eachAgainstEach(responses.lengths)[place],
    });
    const sides = { chosen: side(0), rejected: side(1), mask: batch.prefers! };
    return {
      ...dpoLoss({ ...sides, beta, lossType, labelSmoothing, alpha, simpoGamma, normaliser }),
      outputs: { rewards: implicitRewards(responses, { beta, lossType }) },
    };
  },
});

/** A step's comparisons that have a pair, cut into micro-batches. */
export interface ComparisonBatches {
  readonly rankings: readonly Ranking[];
  readonly groups: readonly (readonly Ranking[])[];
  readonly batches: readonly MicroBatch[];
}

/** @throws RunError TRAINING_ITEM_INCOMPLETE for comparisons without the log-probs under a reference that the loss takes */
export function comparisonBatches(
  items: readonly Item[],
  { pairs, lossType }: Pick<Settings, 'pairs' | 'lossType'>,
  limits: Limits,
): ComparisonBatches {
  const reference = !isReferenceFree({ lossType });
  const compared = reference ? joined(items, 'reference') : items;
  return rankingBatches(rankingsOf(compared, pairs satisfies Pairing), limits, (rankings, shape) =>
    comparisonBatch(rankings, shape, { reference }),
  );
}

const comparisonInputs = (shape: BatchShape, options: { readonly reference: boolean }): Specs => ({
  ...responseInputs(shape, options),
  ...preferenceInputs(shape),
});

function comparisonBatch(
  rankings: readonly Ranking[],
  shape: BatchShape,
  options: { readonly reference: boolean },
): MicroBatch {
  const refLogprobs = rankings.flatMap(({ item, places }) =>
    places.map((place) => item.reference?.logprobs[place] ?? []),
  );
  const responses = responseBatch(sequencesOf(rankings), shape, options.reference ? refLogprobs : undefined);
  return {
    specs: comparisonInputs(shape, options),
    buffers: { ...responses.buffers, ...preferences(rankings, shape) },
  };
}

/** TRL's metrics of the family, and the number of pairs that they are means over. */
export const comparisonMetrics = (
  stats: Readonly<Record<string, number>>,
  { rankings }: ComparisonBatches,
): Metrics => ({
  loss: stats.loss!,
  'rewards/chosen': stats.rewardsChosen!,
  'rewards/rejected': stats.rewardsRejected!,
  'rewards/accuracies': stats.rewardsAccuracies!,
  'rewards/margins': stats.rewardsMargins!,
  'logps/chosen': stats.logpsChosen!,
  'logps/rejected': stats.logpsRejected!,
  pairs: pairCount(rankings),
});

/** Of each comparison the implicit rewards by completion, and their mean margin over its pairs. */
export const comparisonResults = (
  { groups }: ComparisonBatches,
  outputs: readonly Buffers[],
  items: readonly Item[],
): ItemResult[] => rankingResults(groups, outputs, items, { from: 'rewards', to: 'rewards' });
