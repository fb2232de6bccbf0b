/** Hyperparameters of the methods, with TRL's names in camel case and TRL's defaults. */
import { z } from 'zod';
import { named } from './names.js';

/** AdamW, its schedule and gradient clipping. Small models want larger rates than the defaults. */
export const optimizerConfig = (learningRate: number) =>
  z
    .strictObject({
      learningRate: z
        .number()
        .positive()
        .max(1)
        .default(learningRate)
        .describe(
          "the rate after the warm-up; TRL's default is for billions of parameters, small models want more",
        )
        .register(named, { as: ['lr'] }),
      schedule: z
        .enum(['linear', 'cosine', 'constant', 'constant_with_warmup'])
        .default('linear')
        .describe(
          'how the rate goes on after the warm-up: to 0, or as it is (lr_scheduler_type of transformers)',
        )
        .register(named, { as: ['lr_scheduler_type', 'scheduler'] }),
      warmupSteps: z
        .int()
        .min(0)
        .default(0)
        .describe('steps over which the rate climbs from 0; the schedule constant has none'),
      beta1: z
        .number()
        .min(0)
        .lt(1)
        .default(0.9)
        .describe("decay of AdamW's mean of gradients (Loshchilov and Hutter 2019)")
        .register(named, { as: ['adam_beta1'] }),
      beta2: z
        .number()
        .min(0)
        .lt(1)
        .default(0.999)
        .describe("decay of AdamW's mean of squared gradients")
        .register(named, { as: ['adam_beta2'] }),
      eps: z
        .number()
        .positive()
        .default(1e-8)
        .describe("added to the root of AdamW's mean of squared gradients")
        .register(named, { as: ['adam_epsilon', 'epsilon'] }),
      weightDecay: z
        .number()
        .min(0)
        .default(0)
        .describe('share of the weights taken away, times the rate; not of biases and layer norms'),
      maxGradNorm: z
        .number()
        .positive()
        .default(1)
        .describe(
          'gradients with a larger Euclidean norm are scaled down to it; for PPO too, where TRL does not clip',
        ),
    })
    .prefault({})
    .describe('AdamW and its learning rate');
export type OptimizerConfig = z.output<ReturnType<typeof optimizerConfig>>;

const pairLength = z
  .int()
  .min(2)
  .default(1024)
  .describe('tokens of prompt and completion; longer comparisons are dropped');

export const SftConfig = z
  .strictObject({
    maxLength: z.int().min(2).default(1024).describe('tokens; longer texts are cut'),
  })
  .prefault({})
  .describe('what SFT has of its own');

export const RewardConfig = z
  .strictObject({
    maxLength: pairLength,
    centerRewardsCoefficient: z
      .number()
      .min(0)
      .default(0)
      .describe(
        'pulls the two rewards of a pair to a sum of 0; 0.01 is recommended (Eisenstein et al. 2023)',
      ),
  })
  .prefault({})
  .describe('what reward models have of their own');

export const PpoConfig = z
  .strictObject({
    numPpoEpochs: z
      .int()
      .min(1)
      .default(4)
      .describe("passes over a step's rollouts")
      .register(named, { as: ['epochs', 'ppo_epochs', 'num_epochs', 'num_train_epochs'] }),
    numMiniBatches: z.int().min(1).default(1).describe('optimizer updates a pass'),
    klCoef: z
      .number()
      .min(0)
      .default(0.05)
      .describe('reward taken away per nat of KL from the reference (Ouyang et al. 2022, equation 2)')
      .register(named, { as: ['init_kl_coef', 'kl_penalty', 'beta'] }),
    klEstimator: z
      .enum(['k1', 'k3'])
      .default('k1')
      .describe(
        "a token's KL from its log-probs: k1 is unbiased, k3 is too and is never negative (Schulman 2020)",
      ),
    adaptiveKl: z
      .strictObject({
        target: z.number().positive().default(6).describe('nats per response'),
        horizon: z
          .number()
          .positive()
          .default(10_000)
          .describe('responses; the coefficient changes by at most a fifth of itself over as many'),
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
      .describe('how far the ratio of new to old probability may leave 1 (Schulman et al. 2017, equation 7)')
      .register(named, { as: ['clip_range', 'clip_eps', 'epsilon'] }),
    cliprangeValue: z
      .number()
      .positive()
      .default(0.2)
      .describe('how far a value may leave what it was when the advantages were computed'),
    vfCoef: z.number().min(0).default(0.1).describe('weight of the value loss beside that of the policy'),
    gamma: z.number().min(0).max(1).default(1).describe('discount of later rewards, a token'),
    lam: z
      .number()
      .min(0)
      .max(1)
      .default(0.95)
      .describe('lambda of generalised advantage estimation (Schulman et al. 2016): less bias towards 1')
      .register(named, { as: ['lambda', 'gae_lambda'] }),
    whitenRewards: z.boolean().default(false).describe("divide a step's rewards by their standard deviation"),
    missingEosPenalty: z
      .number()
      .min(0)
      .default(0)
      .describe('taken from the score of a response that is cut at its greatest length'),
    importanceSampling: z
      .strictObject({
        mode: z
          .literal('token_truncate')
          .default('token_truncate')
          .describe('each token counts the ratio of the two policies, at most the cap'),
        cap: z
          .number()
          .min(1)
          .max(1e6)
          .default(2)
          .describe('the most a token counts, against variance (Ionides 2008)'),
      })
      .optional()
      .describe(
        'corrects for rollouts of an older version than the one that is trained (Hilton et al. 2022); changes nothing where there are none; {} takes its defaults',
      ),
  })
  .prefault({})
  .describe('what PPO has of its own');

export const DpoConfig = z
  .strictObject({
    beta: z
      .number()
      .positive()
      .default(0.1)
      .describe('weight of the KL from the reference in the objective that DPO solves')
      .register(named, { as: ['kl_coef'] }),
    lossType: z
      .enum(['sigmoid', 'ipo', 'hinge', 'robust'])
      .default('sigmoid')
      .describe(
        'sigmoid is DPO (Rafailov et al. 2023), ipo of Azar et al. 2023, hinge of Zhao et al. 2023, robust of Chowdhury et al. 2024',
      )
      .register(named, { as: ['loss'] }),
    labelSmoothing: z
      .number()
      .min(0)
      .lt(0.5)
      .default(0)
      .describe(
        'share of the pairs whose order is taken to be wrong, with robust, and with sigmoid: cDPO (Mitchell 2023)',
      ),
    maxLength: pairLength,
  })
  .prefault({})
  .describe('what DPO has of its own');
