/** What FRONTIER.yaml holds: a sweep over methods and their settings, and how every policy of it is judged. */
import { ExperimentName, Tags } from '@rlhf-streams/events';
import { z } from 'zod';

const settings = z.record(z.string(), z.unknown());

export const FrontierFile = z.strictObject({
  frontier: ExperimentName.describe('name of the experiment; the names of its runs begin with it'),
  tags: Tags.optional().describe('of each of its runs'),
  seeds: z.array(z.int().min(0)).min(1).default([0]).describe('each setting is trained once with each'),
  runs: z.array(settings).default([]).describe('what members build on, done first'),
  members: z.record(
    z.string(),
    z.strictObject({
      run: settings.describe('a run without its name and seed, of a method that trains a policy'),
      sweep: z
        .record(z.string().min(1), z.array(z.unknown()).min(1))
        .default({})
        .describe('values of settings by their paths, as dpo.beta; of several, every combination'),
    }),
  ),
  evaluate: z
    .looseObject({
      every: z.int().min(1).describe('steps between evaluations; the last step always has one'),
    })
    .describe(
      'how policies are judged: settings of a sampling run, whose prompts are held out, and whose first scorer judges',
    ),
});
export type FrontierFile = z.output<typeof FrontierFile>;
export type FrontierInput = z.input<typeof FrontierFile>;
