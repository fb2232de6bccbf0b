/** Hyperparameters of the methods, with TRL's names in camel case and TRL's defaults. */
import { z } from 'zod';

/** AdamW, its schedule and gradient clipping. Small models want larger rates than the defaults. */
export const optimizerConfig = (learningRate: number) =>
  z
    .strictObject({
      learningRate: z.number().positive().max(1).default(learningRate),
      schedule: z.enum(['linear', 'cosine', 'constant', 'constant_with_warmup']).default('linear'),
      warmupSteps: z.int().min(0).default(0),
      beta1: z.number().min(0).lt(1).default(0.9),
      beta2: z.number().min(0).lt(1).default(0.999),
      eps: z.number().positive().default(1e-8),
      weightDecay: z.number().min(0).default(0).describe('not applied to biases and layer norms'),
      maxGradNorm: z
        .number()
        .positive()
        .default(1)
        .describe('the gradient is scaled down to this norm; for PPO too, where TRL does not clip'),
    })
    .prefault({});
export type OptimizerConfig = z.output<ReturnType<typeof optimizerConfig>>;

export const SftConfig = z
  .strictObject({
    maxLength: z.int().min(2).default(1024).describe('tokens; longer texts are cut'),
  })
  .prefault({});

export const RewardConfig = z
  .strictObject({
    maxLength: z
      .int()
      .min(2)
      .default(1024)
      .describe('tokens of prompt and completion; longer comparisons are dropped'),
    centerRewardsCoefficient: z.number().min(0).default(0).describe('0.01 is recommended'),
  })
  .prefault({});

export const PpoConfig = z
  .strictObject({
    numPpoEpochs: z.int().min(1).default(4),
    numMiniBatches: z.int().min(1).default(1),
    klCoef: z.number().min(0).default(0.05),
    klEstimator: z.enum(['k1', 'k3']).default('k1'),
    adaptiveKl: z
      .strictObject({
        target: z.number().positive().default(6),
        horizon: z.number().positive().default(10_000),
      })
      .optional()
      .describe('steers klCoef so that the KL per response comes to the target'),
    cliprange: z.number().positive().default(0.2),
    cliprangeValue: z.number().positive().default(0.2),
    vfCoef: z.number().min(0).default(0.1),
    gamma: z.number().min(0).max(1).default(1),
    lam: z.number().min(0).max(1).default(0.95),
    whitenRewards: z.boolean().default(false),
    missingEosPenalty: z.number().min(0).default(0),
    importanceSampling: z
      .strictObject({
        mode: z
          .literal('token_truncate')
          .default('token_truncate')
          .describe('each token counts the ratio of the two policies, at most the cap'),
        cap: z.number().min(1).max(1e6).default(2),
      })
      .optional()
      .describe(
        'corrects for rollouts of an older version than the one that is trained; changes nothing where there are none',
      ),
  })
  .prefault({});

export const DpoConfig = z
  .strictObject({
    beta: z.number().positive().default(0.1),
    lossType: z.enum(['sigmoid', 'ipo', 'hinge', 'robust']).default('sigmoid'),
    labelSmoothing: z.number().min(0).lt(0.5).default(0).describe('with sigmoid: cDPO'),
    maxLength: z
      .int()
      .min(2)
      .default(1024)
      .describe('tokens of prompt and completion; longer comparisons are dropped'),
  })
  .prefault({});
