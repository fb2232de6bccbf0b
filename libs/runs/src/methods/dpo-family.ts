/** Settings of the methods whose loss is one of DPO's family, and what may not stand together in them. */
import { z } from 'zod';
import { named } from '../settings.js';

export const dpoFamily = {
  beta: z
    .number()
    .positive()
    .default(0.1)
    .describe('weight of the KL from the reference in the objective that DPO solves')
    .register(named, { as: ['kl_coef'] }),
  lossType: z
    .enum(['sigmoid', 'sigmoid_norm', 'ipo', 'hinge', 'robust', 'simpo'])
    .default('sigmoid')
    .describe(
      'sigmoid is DPO (Rafailov et al. 2023), sigmoid_norm the same of log-probs per token, ipo by Azar et al. 2023, hinge by Zhao et al. 2023, robust by Chowdhury et al. 2024, simpo by Meng et al. 2024, which has no reference and wants a beta of 2 or more',
    )
    .register(named, { as: ['loss'] }),
  labelSmoothing: z
    .number()
    .min(0)
    .lt(0.5)
    .default(0)
    .describe(
      'share of the pairs whose labels are taken to be flipped, for robust, sigmoid_norm, simpo, and for sigmoid, which then is cDPO (Mitchell 2023)',
    ),
  alpha: z
    .number()
    .default(0)
    .describe(
      'R-DPO: what each token of a response costs in reward, so that length alone is not learned (Park et al. 2024); for sigmoid, robust and hinge',
    )
    .register(named, { as: ['rdpo_alpha', 'length_alpha'] }),
  simpoGamma: z
    .number()
    .min(0)
    .default(0.5)
    .describe('by how much the chosen reward should exceed the rejected one, for simpo')
    .register(named, { as: ['gamma'] }),
  pairs: z
    .enum(['all', 'best_rest', 'best_worst'])
    .default('all')
    .describe(
      'pairs made of a comparison of several completions: all that are ranked apart, the best with each below it, or the best with the worst; those of a comparison together count as one',
    ),
};

type DpoFamily = z.output<z.ZodObject<typeof dpoFamily>>;
export type DpoLossType = DpoFamily['lossType'];

/** Whether a loss compares log-probs of the policy alone. */
export const isReferenceFree = ({ lossType }: Pick<DpoFamily, 'lossType'>): boolean => lossType === 'simpo';

const WITH_ALPHA: readonly DpoLossType[] = ['sigmoid', 'robust', 'hinge'];

/** Whether alpha has a place in the loss, or is 0. */
export const alphaFits = ({ alpha, lossType }: Pick<DpoFamily, 'alpha' | 'lossType'>): boolean =>
  alpha === 0 || WITH_ALPHA.includes(lossType);

export const ALPHA_MISPLACED = `expected 0, or a lossType that compares lengths: ${WITH_ALPHA.join(', ')}`;
