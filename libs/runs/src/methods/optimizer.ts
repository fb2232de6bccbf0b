import { z } from 'zod';
import { named } from '../settings.js';

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
