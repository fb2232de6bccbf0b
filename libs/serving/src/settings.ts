import { availableParallelism, totalmem } from 'node:os';
import type { Device } from '@rlhf-streams/tensor';
import { z } from 'zod';

/** Settings of every service that holds models, or decides whether they fit. */
export const memorySettings = z.object({
  RLHF_MEMORY_LIMIT_BYTES: z.coerce
    .number()
    .int()
    .min(0)
    .default(0)
    .describe(
      'memory that the models of a run may need in this process; 0 is what the machine or its container has',
    ),
});

/** Settings of every service that computes. */
export const computeSettings = memorySettings.extend({
  RLHF_DEVICE: z
    .enum(['cpu', 'cuda'] satisfies Device[])
    .default('cpu')
    .describe('what models run on: cpu, to the same bits everywhere, or cuda, in the images for GPUs'),
});
export type ComputeSettings = z.output<typeof computeSettings>;

/** How much is computed side by side, which decides what a model needs of memory. */
export const generationSettings = z.object({
  RLHF_POLICY_THREADS: z.coerce
    .number()
    .int()
    .min(1)
    .max(64)
    .default(Math.min(4, availableParallelism()))
    .describe('compute threads of the policy service, each with slots of its own'),
  RLHF_POLICY_SLOTS: z.coerce
    .number()
    .int()
    .min(1)
    .max(1024)
    .default(32)
    .describe('sequences a thread of the policy service generates side by side'),
});

export const trainingSettings = z.object({
  RLHF_OPTIMIZER_WORKERS: z.coerce
    .number()
    .int()
    .min(1)
    .max(256)
    .default(availableParallelism())
    .describe('threads of the optimizer that compute micro-batches; any number gives the same weights'),
});

/** The bytes of memory at hand: what the setting says, else those of the machine or, if that is less, of its container. */
export function memoryLimit({ RLHF_MEMORY_LIMIT_BYTES }: z.output<typeof memorySettings>): number {
  if (RLHF_MEMORY_LIMIT_BYTES > 0) return RLHF_MEMORY_LIMIT_BYTES;
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}
