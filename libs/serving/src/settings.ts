import { availableParallelism, totalmem } from 'node:os';
import type { Device } from '@rlhf-streams/tensor';
import { z } from 'zod';

/** Settings of services that have models in memory, or decide whether a model fits. */
export const memorySettings = z.object({
  RLHF_MEMORY_LIMIT_BYTES: z.coerce
    .number()
    .int()
    .min(0)
    .default(0)
    .meta({ defaultInWords: '0: what the machine, or its container, has' })
    .describe(
      'bytes that the models of a run may need in this process; a run or model that needs more is refused before it is loaded',
    ),
});

/** Settings of services that compute. */
export const computeSettings = memorySettings.extend({
  RLHF_DEVICE: z
    .enum(['cpu', 'cuda'] satisfies Device[])
    .default('cpu')
    .describe(
      'what models run on: cpu, where weights are the same to the bit on every machine, or cuda, in the images for GPUs, where they may differ from one run to the next',
    ),
});
export type ComputeSettings = z.output<typeof computeSettings>;

/** Settings of the policy service; the coordinator needs them to estimate the memory that a model takes there. */
export const generationSettings = z.object({
  RLHF_POLICY_THREADS: z.coerce
    .number()
    .int()
    .min(1)
    .max(64)
    .default(Math.min(4, availableParallelism()))
    .meta({ defaultInWords: 'the cores, at most 4' })
    .describe(
      'compute threads of the policy service; each holds slots, and its own copy of weights that are trained whole: adapters share their base',
    ),
  RLHF_POLICY_SLOTS: z.coerce
    .number()
    .int()
    .min(1)
    .max(1024)
    .default(32)
    .describe(
      'sequences that a thread of the policy service generates side by side; each takes the memory of a cache, and more of them use the cores better',
    ),
});

/** Settings of the optimizer; the coordinator needs them to estimate the memory that a run takes there. */
export const trainingSettings = z.object({
  RLHF_OPTIMIZER_WORKERS: z.coerce
    .number()
    .int()
    .min(1)
    .max(256)
    .default(availableParallelism())
    .meta({ defaultInWords: 'the cores' })
    .describe(
      'threads of the optimizer that compute micro-batches; any number gives the same weights, and each takes the memory of a micro-batch',
    ),
});

/** The bytes of memory at hand: what the setting says, else those of the machine or, if that is less, of its container. */
export function memoryLimit({ RLHF_MEMORY_LIMIT_BYTES }: z.output<typeof memorySettings>): number {
  if (RLHF_MEMORY_LIMIT_BYTES > 0) return RLHF_MEMORY_LIMIT_BYTES;
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}
