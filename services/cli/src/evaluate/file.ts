/** What a file of `rlhf-streams evaluate` says: policies, and the suites that they are measured by. */
import { ExperimentName, explainMistake, Tags } from '@rlhf-streams/events';
import { z } from 'zod';

const Name = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9_-]{0,39}$/,
    'expected a name of 1-40 characters of a-z 0-9 _ -, beginning with a letter or digit',
  );

/** A setting of the runs that an evaluation is made of: they say what it may be. */
const ofTheRuns = z.unknown().optional();

/** What every suite has. */
const suite = {
  name: Name,
  slices: z
    .array(z.string().min(1))
    .default([])
    .describe('columns or metadata of the rows: every number is told for each of their values too'),
  limit: z.int().min(1).max(65_536).optional().describe('rows, at most; without it, all of them'),
  batchSize: ofTheRuns,
  testFraction: ofTheRuns,
  allow: ofTheRuns,
};

/** What suites have that let policies answer prompts. */
const answered = {
  ...suite,
  prompts: z.string().min(1).describe('what `prompts` of a run may be'),
  heldOut: z
    .boolean()
    .default(false)
    .describe('only the prompts that training keeps out, by the same testFraction'),
  promptWords: ofTheRuns,
  sampling: ofTheRuns,
  timeoutMs: ofTheRuns,
};

const scorers = (missing: string) => z.array(z.unknown(), missing).min(1, missing);

const WinRate = z.strictObject({
  ...answered,
  kind: z.literal('win_rate'),
  judges: scorers(
    'expected judges: a list of scorers, as scorers of a run, or of feedback:COLLECTION for what people said',
  ),
  against: z
    .union([Name, z.array(Name).min(1)])
    .optional()
    .describe(
      'policies that every other is compared with, or `completions`: those of the data; the baseline if not given',
    ),
});

const scored = {
  ...answered,
  samples: z.int().min(1).max(1024).default(1).describe('answers to each prompt'),
  perPrompt: z
    .enum(['mean', 'max', 'min'])
    .default('mean')
    .describe("what is taken of a prompt's answers: `max` is the worst of a score of toxicity"),
  above: z.number().optional().describe('instead of the mean: the share of prompts with more than this'),
};

const Scores = z.strictObject({
  ...scored,
  kind: z.literal('scores'),
  scorers: scorers('expected scorers: a list, as scorers of a run'),
});

const Toxicity = z.strictObject({
  ...scored,
  kind: z.literal('toxicity'),
  scorers: scorers(
    'expected scorers: a classifier of toxicity that the operator of the services declared, as declared:NAME, or a trained model; there is none to fall back on, as no list of words is a classifier',
  ).refine(
    (entries) => !entries.some((entry) => typeof entry === 'object' && entry !== null && 'rule' in entry),
    'expected a classifier of toxicity, got a rule: no list of words is a classifier; use kind: scores to count what a rule finds',
  ),
});

const judgedByLogprob = {
  ...suite,
  data: z.string().min(1).describe('what `data` of an evaluate run may be'),
  maxLength: ofTheRuns,
};

const MultipleChoice = z.strictObject({
  ...judgedByLogprob,
  kind: z.literal('multiple_choice'),
  template: ofTheRuns,
  measures: z
    .array(z.enum(['accuracy', 'accuracy_norm', 'mc1', 'mc2']))
    .min(1)
    .optional()
    .describe(
      'accuracy and accuracy_norm if not given; mc1 and mc2 where a question has several true choices',
    ),
});

const PairedSentences = z.strictObject({ ...judgedByLogprob, kind: z.literal('paired_sentences') });

export const Suite = z.discriminatedUnion(
  'kind',
  [WinRate, Scores, Toxicity, MultipleChoice, PairedSentences],
  {
    error: 'expected one of win_rate, scores, toxicity, multiple_choice, paired_sentences',
  },
);
export type Suite = z.output<typeof Suite>;
export type AnsweredSuite = Extract<Suite, { prompts: string }>;
export type LogprobSuite = Extract<Suite, { data: string }>;

export const isAnswered = (suite: Suite): suite is AnsweredSuite => 'prompts' in suite;

const FEEDBACK = 'feedback:';

/** The collection of people's comparisons that a judge is. */
export const collectionOf = (judge: unknown): string | undefined =>
  typeof judge === 'string' && judge.startsWith(FEEDBACK) ? judge.slice(FEEDBACK.length) : undefined;

/** The declared judge of pairs that an entry of `judges` is: `{ pairs: declared:NAME }`. */
export const pairJudgeOf = (judge: unknown): unknown =>
  typeof judge === 'object' && judge !== null && 'pairs' in judge ? judge.pairs : undefined;

/** Stands for the completions of the data, beside the policies. */
export const COMPLETIONS = 'completions';

/** What the answers of a suite are compared with: policies by name, or the completions of the data. */
export const opponentsOf = (suite: Suite, { baseline }: Pick<EvaluationFile, 'baseline'>): string[] =>
  suite.kind === 'win_rate' ? [suite.against ?? baseline].flat() : [];

const File = z.strictObject({
  evaluation: ExperimentName.describe('the experiment that its runs are'),
  tags: Tags.optional(),
  seed: z.int().min(0).default(0).describe('of samples, and of the bootstrap'),
  policies: z.record(Name, z.unknown()).describe('models by name, as `model` of a run'),
  baseline: Name.optional().describe('the policy that others are compared with; the first if not given'),
  reference: ofTheRuns.describe('with it, the KL from it is told of every policy that answers prompts'),
  sampling: ofTheRuns,
  suites: z.array(Suite).min(1),
});

export type EvaluationFile = z.output<typeof File> & { readonly baseline: string };

export interface FileMistake {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** The evaluation, or every mistake by its path; those of the runs' own settings are told by the runs. */
export function parseEvaluation(
  json: unknown,
): { readonly file: EvaluationFile } | { readonly mistakes: readonly FileMistake[] } {
  const result = File.safeParse(json, { error: explainMistake });
  if (!result.success) return { mistakes: result.error.issues };
  const policies = Object.keys(result.data.policies);
  const file = { ...result.data, baseline: result.data.baseline ?? policies[0]! };
  const mistakes = combinationMistakes(file, policies);
  return mistakes.length > 0 ? { mistakes } : { file };
}

function combinationMistakes(
  { suites, baseline }: EvaluationFile,
  policies: readonly string[],
): FileMistake[] {
  const mistakes: FileMistake[] = [];
  const wrong = (path: readonly PropertyKey[], message: string) => mistakes.push({ path, message });
  const known = `expected one of the policies ${policies.join(', ')}`;
  if (policies.length === 0) wrong(['policies'], 'expected a policy at least, got none');
  else if (!policies.includes(baseline)) wrong(['baseline'], `${known}, got ${baseline}`);
  if (policies.includes(COMPLETIONS))
    wrong(['policies', COMPLETIONS], 'expected another name: this stands for the completions of the data');
  const names = new Map<string, number>();
  for (const [index, suite] of suites.entries()) {
    const first = names.get(suite.name);
    if (first === undefined) names.set(suite.name, index);
    else
      wrong(['suites', index, 'name'], `expected another name than suites[${first}] has, got ${suite.name}`);
    if (suite.kind !== 'win_rate') continue;
    const against = opponentsOf(suite, { baseline });
    const pairs = suite.judges.findIndex((judge) => pairJudgeOf(judge) !== undefined);
    if (pairs !== -1 && against.length > 1)
      wrong(
        ['suites', index, 'judges', pairs],
        `expected one policy to compare with, got against: ${against.join(', ')}: make a suite of each`,
      );
    const unknown = against.find((each) => each !== COMPLETIONS && !policies.includes(each));
    if (unknown !== undefined)
      wrong(['suites', index, 'against'], `${known}, or ${COMPLETIONS}, got ${unknown}`);
    else if (policies.length < 2 && against.some((each) => each !== COMPLETIONS))
      wrong(
        ['policies'],
        `expected two at least, for suite ${suite.name} to compare, got ${policies.join()}`,
      );
  }
  return mistakes;
}
