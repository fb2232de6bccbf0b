/** Settings of every run, and of every run that trains. */
import { RunId } from '@rlhf-streams/events';
import { z } from 'zod';
import { named } from '../settings.js';
import { peft } from './peft.js';

export const MOST_STEPS = 1_000_000;

const share = z.number().min(0).max(1);

/** What every run has. */
export const everyRun = {
  run: RunId.describe('name of the run; ids, folders and events carry it').register(named, {
    as: ['run_name', 'name', 'id'],
  }),
  seed: z
    .int()
    .min(0)
    .default(0)
    .describe(
      'seeds every draw: initial weights, order of the data, samples; the same seed gives the same weights',
    )
    .register(named, { as: ['random_seed', 'data_seed'] }),
  steps: z
    .int()
    .min(1)
    .max(MOST_STEPS)
    .optional()
    .describe(
      'updates of the model, or batches of samples in a run that trains nothing; a run has steps or epochs',
    )
    .register(named, { as: ['max_steps', 'num_steps', 'iterations'] }),
  epochs: z
    .number()
    .positive()
    .max(MOST_STEPS)
    .optional()
    .describe('instead of steps: passes over the data, the last step of which may begin another one')
    .register(named, { as: ['num_train_epochs', 'num_epochs'] }),
  microBatchSize: z
    .int()
    .min(1)
    .max(4096)
    .default(16)
    .describe(
      'sequences that a worker computes at once, at least those of one comparison; it fixes the bits of a run, not its result',
    )
    .register(named, { as: ['per_device_train_batch_size'] }),
  checkpointEvery: z
    .int()
    .min(1)
    .default(10)
    .describe('steps between checkpoints; after a crash the steps since the last one are computed again')
    .register(named, { as: ['save_steps'] }),
  stallTimeoutMs: z
    .int()
    .min(1000)
    .default(600_000)
    .describe('milliseconds without progress after which a run fails, naming the events that it waits for'),
  allow: z
    .strictObject({
      dropped: share
        .default(0.05)
        .describe(
          'share of the rows that may be left out because they do not fit the model or the method; rows without a preference, duplicate prompts and rows held out beyond maxTestItems do not count',
        ),
      cut: share.default(0.2).describe('share of the rows that may be shortened to what the model takes'),
    })
    .prefault({})
    .describe('shares of the data that may be lost; a run that would lose more is refused'),
};

/** What texts are to a model that was made for conversations. */
export const chat = z
  .boolean()
  .default(false)
  .describe(
    "read prompts that are texts as a message of the user, and their completions as the assistant's answer, by the model's chat template; messages always are",
  );

export const evaluateEvery = z
  .int()
  .min(1)
  .optional()
  .register(named, { as: ['eval_steps'] });

const metric = z.string().min(1).describe('name of a metric that steps report');

/** What every run has that trains. */
export const training = {
  microBatchTokens: z
    .int()
    .min(16)
    .max(2 ** 24)
    .optional()
    .describe(
      'tokens that a worker computes at once, padding included: sequences are cut into micro-batches of similar lengths, of at most microBatchSize each, so that there is little padding; without it there are microBatchSize sequences whatever their lengths. It fixes the bits of a run, not its result',
    ),
  gradientCheckpointing: z
    .boolean()
    .default(false)
    .describe(
      'computes the activations of a layer again for its gradient instead of keeping those of all layers: a third more time, and memory for one layer at a time',
    )
    .register(named, { as: ['gradient_checkpointing'] }),
  peft,
  keepCheckpoints: z
    .int()
    .min(1)
    .optional()
    .describe(
      'versions and checkpoints of the run that a collection of artifacts keeps, the newest, and the best besides; by default the newest of each once the run has ended, and all before',
    )
    .register(named, { as: ['save_total_limit'] }),
  keepBest: z
    .strictObject({
      metric: metric.register(named, { as: ['metric_for_best_model'] }),
      goal: z.enum(['min', 'max']).describe('which value of the metric is the best'),
    })
    .optional()
    .describe(
      'the published version that is best by a metric is the model of the run, for other runs and export',
    )
    .register(named, { as: ['load_best_model_at_end'] }),
  stopWhen: z
    .strictObject({
      metric,
      below: z.number().optional().describe('ends the run when the metric is below'),
      above: z.number().optional().describe('ends the run when the metric is above'),
    })
    .optional()
    .describe(
      'ends the run before its last step: after the first one whose metric is below or above a number',
    )
    .register(named, { as: ['early_stopping'] }),
  replay: RunId.optional().describe(
    'a run that has ended: trains on the events it logged, issues none, and may differ only in how it learns',
  ),
};
