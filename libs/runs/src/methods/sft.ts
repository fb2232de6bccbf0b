import { z } from 'zod';
import { named } from '../settings.js';
import { dataset, demonstrations, overDataset } from './dataset.js';
import { everyRun, training } from './every-run.js';
import { initialPolicy, policy, trainedPolicy } from './models.js';
import { optimizerConfig } from './optimizer.js';
import { defineMethod } from './spec.js';

const config = z
  .strictObject({
    ...everyRun,
    ...training,
    ...dataset(demonstrations),
    method: z.literal('sft').describe('supervised fine-tuning'),
    model: initialPolicy,
    optimizer: optimizerConfig(2e-5),
    sft: z
      .strictObject({
        maxLength: z.int().min(2).default(1024).describe('tokens; longer texts are cut'),
        assistantOnly: z
          .boolean()
          .default(false)
          .describe(
            "of conversations, learn what the assistant says alone, in each of its turns, as the model's chat template marks them or renders them; by default {messages} are learned whole, and of {prompt, completion} the completion",
          )
          .register(named, { as: ['assistant_only_loss', 'completion_only_loss'] }),
      })
      .prefault({})
      .describe('what SFT has of its own'),
  })
  .meta({
    title: 'Supervised fine-tuning',
    description: 'Trains a model to write as the texts of a dataset do, by next-token cross-entropy.',
    source: 'Ouyang et al. 2022, step 1, https://arxiv.org/abs/2203.02155',
    examples: [
      { run: 'my-sft', method: 'sft', steps: 100, model: { layers: 2, width: 64 }, data: 'bundled' },
    ],
  });

export const sft = defineMethod({
  config,
  hyperparameters: 'sft',
  models: [policy],
  trains: [trainedPolicy],
  sequencesPerItem: 1,
  publishes: 'policy',
  progress: { step: [['loss', 'loss']], heldOut: [['held-out loss', 'eval/loss']] },
  metrics: [
    'loss',
    'grad_norm',
    'lr',
    'num_tokens',
    'eval/loss',
    'eval/perplexity',
    'eval/completion_tokens',
  ],
  plan: (run) =>
    overDataset(run, {
      kind: 'demonstrations',
      limit: { setting: 'sft.maxLength', tokens: run.sft.maxLength },
      assistantOnly: run.sft.assistantOnly,
    }),
});
