/** Judges a model by the log-probs that it gives to texts: multiple choice, paired sentences, preferences. */
import { z } from 'zod';
import { named } from '../settings.js';
import { DataSources, ModelSource } from '../source-schemas.js';
import { parseSource } from '../sources.js';
import { chat, everyRun } from './every-run.js';
import { policy, policyAsReference } from './models.js';
import { keptColumns } from './sampling.js';
import { defineMethod } from './spec.js';

const template = z
  .string()
  .refine(
    (text) =>
      text.split('{question}').length === 2 &&
      text.split('{choice}').length === 2 &&
      text.endsWith('{choice}'),
    'expected a text with {question}, and at its end {choice}',
  )
  .default('Q: {question}\nA: {choice}')
  .describe('how a question and a choice make a text; examples may stand before the question')
  .register(named, { as: ['prompt_template', 'doc_to_text'] });

const config = z
  .strictObject({
    ...everyRun,
    method: z.literal('evaluate').describe('measures by log-probs and trains nothing'),
    model: ModelSource.describe('the model that is judged'),
    data: DataSources.describe(
      "rows of {question, choices, answer}, {question, choices, labels}, TruthfulQA's, {sent_more, sent_less}, or preferences; bundled:everyday, bundled:misconceptions and bundled:pairs are small sets of such rows",
    ).register(named, { as: ['dataset', 'dataset_name', 'task', 'tasks'] }),
    chat,
    template,
    keep: keptColumns,
    testFraction: z
      .number()
      .min(0)
      .max(0.9)
      .default(0)
      .describe(
        'above 0, only the rows are measured that a run over the same data with the same share keeps out of training',
      ),
    batchSize: z.int().min(1).max(65_536).default(64).describe('questions, pairs or comparisons of a step'),
    maxLength: z
      .int()
      .min(2)
      .default(1024)
      .describe('tokens of a question and a choice; rows with longer ones are dropped'),
  })
  .meta({
    title: 'Evaluation by log-probs',
    description:
      'Measures which of several texts a model finds likelier: multiple choice, paired sentences, preferences; trains nothing.',
    source:
      'Lin et al. 2022, https://arxiv.org/abs/2109.07958; Nangia et al. 2020, https://arxiv.org/abs/2010.00133',
    examples: [
      { run: 'my-facts', method: 'evaluate', steps: 1, model: 'run:my-sft', data: 'bundled:everyday' },
    ],
  });

/** The model never changes, so that nothing bounds how far ahead steps are issued: this much keeps services busy. */
const STEPS_AHEAD = 2;

/** The model under evaluation is its own reference: the log-probs of given texts that the reference service logs are its. */
export const evaluate = defineMethod({
  config,
  models: [policy, policyAsReference],
  trains: [],
  sequencesPerItem: 1,
  publishes: 'policy',
  progress: { step: [['accuracy', 'accuracy']], heldOut: [] },
  metrics: ['items', 'accuracy', 'accuracy_norm', 'mc1', 'mc2'],
  plan: ({ data, chat, template, keep, testFraction, batchSize, maxLength }) => ({
    data: {
      kind: 'comparisons',
      source: parseSource('data', data),
      ...(chat && { chat }),
      keep,
      choices: { template },
      limit: { setting: 'maxLength', tokens: maxLength },
      maxTestItems: Number.MAX_SAFE_INTEGER,
    },
    streams: [
      {
        name: 'train',
        split: testFraction > 0 ? 'test' : 'train',
        draws: { batch: batchSize, once: true },
        joins: ['comparisons', 'reference-logprobs'],
      },
    ],
    ahead: STEPS_AHEAD,
    onPolicy: false,
    publishEvery: 1,
  }),
});
