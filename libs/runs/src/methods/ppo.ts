import { z } from 'zod';
import { named } from '../settings.js';
import { DataSource } from '../source-schemas.js';
import { parseSource } from '../sources.js';
import { everyRun, training } from './every-run.js';
import {
  initialValue,
  policy,
  policyAsReference,
  scorer,
  trainedPolicy,
  trainedValue,
  value,
  withValueModel,
} from './models.js';
import { optimizerConfig } from './optimizer.js';
import {
  advantageSettings,
  importanceSampling,
  klLossSettings,
  maxStaleness,
  onRewardedSamples,
  rewarded,
  rewardedMetrics,
  rewardedProgress,
  rewardSettings,
  vfCoef,
} from './rewarded.js';
import { defineMethod, type Plan } from './spec.js';

const config = z
  .strictObject({
    ...everyRun,
    ...training,
    ...rewarded,
    method: z.literal('ppo').describe('proximal policy optimisation'),
    value: initialValue,
    maxStaleness,
    pretraining: DataSource.optional()
      .describe(
        'texts that the policy goes on learning beside, rows of {text} or {prompt, completion}: PPO-ptx (Ouyang et al. 2022, equation 2), with ppo.ptxCoef',
      )
      .register(named, { as: ['pretraining_data', 'pretrain_dataset', 'ptx_data'] }),
    pretrainingBatchSize: z
      .int()
      .min(1)
      .max(65_536)
      .optional()
      .describe('texts of a step, each used once in every pass over its rollouts; batchSize if not given'),
    pretrainingMaxLength: z
      .int()
      .min(2)
      .default(1024)
      .describe('tokens of a pretraining text; longer ones are cut'),
    optimizer: optimizerConfig(3e-6),
    ppo: z
      .strictObject({
        numPpoEpochs: z
          .int()
          .min(1)
          .default(4)
          .describe("passes over a step's rollouts")
          .register(named, { as: ['ppo_epochs'] }),
        numMiniBatches: z.int().min(1).default(1).describe('optimizer updates per pass'),
        ...rewardSettings,
        objective: z
          .enum(['clip', 'penalty'])
          .default('clip')
          .describe(
            'what keeps the policy near the one that sampled: the ratio of their probabilities is clipped, or their KL is taken from the objective (Schulman et al. 2017, sections 3 and 4)',
          ),
        ...klLossSettings,
        adaptiveKl: z
          .strictObject({
            target: z.number().positive().default(6).describe('nats per response'),
            horizon: z
              .number()
              .positive()
              .default(10_000)
              .describe('responses over which the coefficient changes by at most a fifth of itself'),
          })
          .optional()
          .describe(
            'steers klCoef so that the KL per response comes to the target (Ziegler et al. 2019); {} takes its defaults',
          )
          .register(named, { as: ['adap_kl_ctrl'] }),
        cliprange: z
          .number()
          .positive()
          .default(0.2)
          .describe(
            'how far the ratio of new to old probability may leave 1 (Schulman et al. 2017, equation 7); of the objective clip',
          )
          .register(named, { as: ['clip_range', 'clip_eps', 'epsilon'] }),
        cliprangeHigh: z
          .number()
          .positive()
          .optional()
          .describe(
            'how far the ratio may rise above 1, where that is another number: more lets unlikely tokens grow (clip-higher, Yu et al. 2025)',
          )
          .register(named, { as: ['epsilon_high', 'clip_ratio_high'] }),
        dualClip: z
          .number()
          .gt(1)
          .optional()
          .describe(
            'where an advantage is negative, the objective is at least this times it, however large the ratio (Ye et al. 2020)',
          )
          .register(named, { as: ['delta', 'clip_ratio_c', 'dual_clip_c'] }),
        penalty: z
          .strictObject({
            beta: z
              .number()
              .positive()
              .default(1)
              .describe('weight of the KL from the policy that sampled, at first'),
            target: z
              .number()
              .positive()
              .default(0.01)
              .describe(
                'KL in nats per token that a step should come to: above 1.5 times it beta is doubled, below it over 1.5 halved',
              )
              .register(named, { as: ['d_targ'] }),
          })
          .prefault({})
          .describe('of the objective penalty'),
        entropyCoef: z
          .number()
          .min(0)
          .default(0)
          .describe('weight of a bonus for the entropy of the policy (Schulman et al. 2017, equation 9)')
          .register(named, { as: ['ent_coef', 'entropy_coeff'] }),
        targetKl: z
          .number()
          .positive()
          .optional()
          .describe(
            "ends a step's updates before the first one whose mini-batch has a policy/approxkl above 1.5 times this, in nats per token",
          ),
        cliprangeValue: z
          .number()
          .positive()
          .default(0.2)
          .describe('how far a value may leave what it was when the advantages were computed'),
        vfCoef,
        ptxCoef: z
          .number()
          .min(0)
          .optional()
          .describe(
            "weight of the mean negative log-likelihood of the pretraining texts' tokens beside the other losses, which are means too; the paper's 27.8 is for losses that are summed",
          )
          .register(named, { as: ['pretraining_coef', 'pretrain_loss_coef', 'ptx_loss_coef'] }),
        ...advantageSettings,
        importanceSampling,
      })
      .prefault({})
      .describe('what PPO has of its own'),
  })
  .refine(({ pretraining, ppo }) => pretraining === undefined || ppo.ptxCoef !== undefined, {
    path: ['ppo', 'ptxCoef'],
    error:
      'expected the weight of the loss of pretraining, of which 1 weighs its tokens as those of rollouts',
  })
  .refine(({ ppo }) => ppo.objective === 'clip' || ppo.cliprangeHigh === undefined, {
    path: ['ppo', 'cliprangeHigh'],
    error: 'expected none with the objective penalty, which clips no ratio',
  })
  .refine(({ ppo }) => ppo.objective === 'clip' || ppo.dualClip === undefined, {
    path: ['ppo', 'dualClip'],
    error: 'expected none with the objective penalty, which clips no ratio',
  })
  .refine(({ pretraining, ppo }) => pretraining !== undefined || ppo.ptxCoef === undefined, {
    path: ['pretraining'],
    error: 'expected texts for ppo.ptxCoef',
  })
  .refine(
    ({ pretraining, pretrainingBatchSize }) =>
      pretraining !== undefined || pretrainingBatchSize === undefined,
    { path: ['pretraining'], error: 'expected texts for pretrainingBatchSize' },
  )
  .meta({
    title: 'Proximal policy optimisation',
    description:
      'Trains a policy on its own samples for the reward of a scorer, less the KL from a frozen reference.',
    source:
      'Schulman et al. 2017, https://arxiv.org/abs/1707.06347; Ouyang et al. 2022, step 3, https://arxiv.org/abs/2203.02155',
    examples: [
      {
        run: 'my-ppo',
        method: 'ppo',
        steps: 100,
        model: 'run:my-sft',
        prompts: 'bundled',
        scorers: ['run:my-reward'],
      },
    ],
  });

export const ppo = defineMethod({
  config,
  hyperparameters: 'ppo',
  models: [policy, policyAsReference, value, scorer],
  trains: [trainedPolicy, trainedValue],
  sequencesPerItem: 1,
  publishes: 'policy',
  progress: rewardedProgress,
  metrics: [
    ...rewardedMetrics,
    'objective/kl_coef',
    'policy/approxkl_avg',
    'policy/clipfrac_avg',
    'policy/kl_old',
    'policy/beta',
    'policy/updates',
    'loss/value_avg',
    'loss/ptx',
    'val/clipfrac_avg',
    'val/ratio',
    'val/ratio_var',
    'val/var_explained',
    'sampling/importance_sampling_ratio/*',
  ],
  plan: (run) => ({
    ...withPretraining(run, onRewardedSamples(run, { ahead: run.maxStaleness })),
    ...withValueModel(run.value),
  }),
});

/** Adds the texts of PPO-ptx, if there are any: last, so that ids and samples of prompts are those of the run without them. */
function withPretraining(
  {
    pretraining,
    pretrainingBatchSize,
    pretrainingMaxLength,
    batchSize,
    maxTestItems,
  }: z.output<typeof config>,
  plan: Plan,
): Plan {
  if (pretraining === undefined) return plan;
  const limit = { setting: 'pretrainingMaxLength', tokens: pretrainingMaxLength };
  const source = parseSource('data', pretraining);
  return {
    ...plan,
    datasets: { pretraining: { kind: 'demonstrations', source, limit, maxTestItems } },
    streams: [
      ...plan.streams,
      {
        name: 'pretraining',
        dataset: 'pretraining',
        split: 'train',
        draws: { batch: pretrainingBatchSize ?? batchSize },
        joins: ['demonstrations'],
      },
    ],
  };
}
