/** A thread that generates by a checkpoint as one of the policy's does. */
import { workerData } from 'node:worker_threads';
import {
  createGenerator,
  describeModel,
  frozenTensors,
  keyFor,
  packedForGeneration,
} from '@rlhf-streams/model';
import { onnxEngine } from '@rlhf-streams/tensor';
import { serve } from '@rlhf-streams/threads';
import type { Generation } from '../against/workload.js';
import { someTokens } from '../models.js';

const { model, slots } = workerData as { readonly model: string; readonly slots: number };
const described = await describeModel({ base: model });
const frozen = await packedForGeneration(
  described.config,
  await frozenTensors({ base: model }, described, `bench ${model}`),
);
const generator = createGenerator(onnxEngine(), described.config, { slots, frozen });

const api = {
  /** Completes these of the prompts. */
  async run(
    { prompts, promptTokens, newTokens, temperature }: Generation,
    indices: readonly number[],
  ): Promise<void> {
    const tokens = someTokens(prompts * promptTokens, described.config);
    await Promise.all(
      indices.map((prompt) =>
        generator.generate({
          weights: { version: 'frozen', parameters: {} },
          promptTokens: [...tokens.subarray(prompt * promptTokens, (prompt + 1) * promptTokens)],
          sampling: { temperature },
          maxNewTokens: newTokens,
          stopTokens: [],
          key: keyFor(0, `rollout ${prompt}`),
        }),
      ),
    );
  },
};

export type GenerationThread = typeof api;
serve(api);
