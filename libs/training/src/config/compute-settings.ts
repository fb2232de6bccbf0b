import type { Device } from '@rlhf-streams/tensor';
import { z } from 'zod';

/** Settings of every service that computes. */
export const computeSettings = z.object({
  RLHF_DEVICE: z
    .enum(['cpu', 'cuda'] satisfies Device[])
    .default('cpu')
    .describe('what models run on: cpu, to the same bits everywhere, or cuda, in the images for GPUs'),
});
export type ComputeSettings = z.output<typeof computeSettings>;
