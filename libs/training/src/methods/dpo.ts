import type { Item } from '@rlhf-streams/runs';
import { comparisonBatches, comparisonLoss, comparisonMetrics, comparisonResults } from './dpo-family.js';
import { learningRate } from './learning-rate.js';
import { limitsOf, type Method, type Metrics, ofHeldOut, type Step } from './method.js';
import { nothingLearned } from './rankings.js';

/** Direct preference optimisation: the policy itself as the reward model of the comparisons. */
export const dpo: Method<'dpo'> = {
  start: () => ({}),

  programs({ dpo }, { policy: model }) {
    const loss = comparisonLoss(model!, dpo);
    return { gradients: { dpo: loss }, losses: { dpo: loss } };
  },

  async update(step, items) {
    const compared = batchesOf(step, items);
    if (compared.rankings.length === 0) return nothingLearned(step.carry);
    const lr = learningRate(step.config, step.step);
    const { stats, outputs } = await step.trainer.update('dpo', compared.batches, {
      normaliser: compared.rankings.length,
      learningRate: lr,
    });
    return {
      metrics: { ...comparisonMetrics(stats, compared), grad_norm: stats.gradNorm!, lr },
      carry: step.carry,
      results: comparisonResults(compared, outputs, items),
    };
  },

  async evaluate(step, items): Promise<Metrics> {
    const compared = batchesOf(step, items);
    if (compared.rankings.length === 0) return { 'eval/pairs': 0 };
    const { stats } = await step.trainer.evaluate('dpo', compared.batches, compared.rankings.length);
    return ofHeldOut(comparisonMetrics(stats, compared));
  },
};

const batchesOf = (step: Step<'dpo'>, items: readonly Item[]) =>
  comparisonBatches(items, step.config.dpo, limitsOf(step, 'policy'));
