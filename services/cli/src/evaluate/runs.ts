/** Which runs an evaluation is made of: of every suite a run for each policy, that samples or gives log-probs. */
import { type Experiment, parseExperiment, runConfigMistakes } from '@rlhf-streams/runs';
import {
  type AnsweredSuite,
  COMPLETIONS,
  collectionOf,
  type EvaluationFile,
  type FileMistake,
  isAnswered,
  type LogprobSuite,
  opponentsOf,
  pairJudgeOf,
  type Suite,
} from './file.js';

/** Whose answers a suite asks for: those of all policies, and of the data where they are compared with them. */
export const answering = (file: EvaluationFile, suite: Suite): string[] => [
  ...Object.keys(file.policies),
  ...(opponentsOf(suite, file).includes(COMPLETIONS) ? [COMPLETIONS] : []),
];

/** The run that measures a policy by a suite, or the completions of the data. */
export const runOf = ({ evaluation }: EvaluationFile, { name }: Suite, policy: string): string =>
  `${evaluation}.${name}.${policy}`;

/**
 * Entries of a suite that score a policy's samples, each with its place in the suite. Judges of pairs compare a sample with
 * the one in its prompt's metadata, which those that others are compared with do not have.
 */
export const scoringEntries = (
  file: EvaluationFile,
  suite: AnsweredSuite,
  policy: string,
): { readonly entry: unknown; readonly place: number; readonly pairs: boolean }[] =>
  (suite.kind === 'win_rate' ? suite.judges : suite.scorers)
    .map((entry, place) => {
      const pairs = pairJudgeOf(entry);
      return { entry: pairs ?? entry, place, pairs: pairs !== undefined };
    })
    .filter(
      ({ entry, pairs }) => collectionOf(entry) === undefined && !(pairs && isOpponent(file, suite, policy)),
    );

const isOpponent = (file: EvaluationFile, suite: Suite, policy: string): boolean =>
  policy === COMPLETIONS || opponentsOf(suite, file).includes(policy);

/** Whose answers a policy's are compared with by judges of pairs: they come along with its prompts. */
const comparedWith = (file: EvaluationFile, suite: AnsweredSuite, policy: string): string | undefined =>
  scoringEntries(file, suite, policy).some(({ pairs }) => pairs) ? opponentsOf(suite, file)[0] : undefined;

/** The runs as one experiment, or what is wrong with their settings, by the paths of the file. */
export function experimentOf(
  file: EvaluationFile,
): { readonly experiment: Experiment } | { readonly mistakes: readonly FileMistake[] } {
  const asked = file.suites.flatMap((suite, index) =>
    answering(file, suite).map((policy) => ({ suite, index, policy, json: jsonOf(file, suite, policy) })),
  );
  const mistakes = asked.flatMap(({ suite, index, policy, json }) =>
    runConfigMistakes(json).map(({ path, message }) => ({
      path: placeOf(path, { file, suite, index, policy }),
      message,
    })),
  );
  if (mistakes.length > 0) {
    // What is wrong with a suite is wrong with the runs of all policies.
    const once = new Map(mistakes.map((mistake) => [JSON.stringify(mistake), mistake]));
    return { mistakes: [...once.values()] };
  }
  const experiment = { experiment: file.evaluation, tags: file.tags, runs: asked.map(({ json }) => json) };
  return { experiment: parseExperiment(experiment) };
}

/** A run's settings, of which those are left out that nobody set. */
const jsonOf = (file: EvaluationFile, suite: Suite, policy: string): object =>
  Object.fromEntries(
    Object.entries({
      run: runOf(file, suite, policy),
      seed: file.seed,
      // The baseline tells the log-probs of completions that nobody sampled.
      model: file.policies[policy === COMPLETIONS ? file.baseline : policy],
      completions: policy === COMPLETIONS ? 'given' : undefined,
      allow: suite.allow,
      keep: suite.slices,
      ...(suite.limit === undefined
        ? { epochs: 1, batchSize: suite.batchSize }
        : { steps: 1, batchSize: suite.limit }),
      ...(isAnswered(suite) ? samplingOf(file, suite, policy) : logprobsOf(suite)),
    }).filter(([, value]) => value !== undefined),
  );

const samplingOf = (file: EvaluationFile, suite: AnsweredSuite, policy: string) => ({
  ...settingsOf(file, suite, policy),
  ...beside(file, suite, comparedWith(file, suite, policy)),
});

/** Prompts that have an opponent's answers beside them: as the data have them, or as the opponent's run gave them. */
function beside(file: EvaluationFile, suite: AnsweredSuite, opponent: string | undefined): object {
  if (opponent === undefined) return {};
  if (opponent === COMPLETIONS) return { keep: [...suite.slices, 'completion'] };
  const prompts = `run:${runOf(file, suite, opponent)}`;
  return { prompts, keep: [], promptWords: undefined, testPrompts: false, testFraction: 0 };
}

const settingsOf = (file: EvaluationFile, suite: AnsweredSuite, policy: string) => ({
  method: 'sample',
  prompts: suite.prompts,
  promptWords: suite.promptWords,
  timeoutMs: suite.timeoutMs,
  sampling: suite.sampling ?? file.sampling,
  once: true,
  testPrompts: suite.heldOut,
  testFraction: suite.heldOut ? suite.testFraction : (suite.testFraction ?? 0),
  samplesPerPrompt: suite.kind === 'win_rate' ? 1 : suite.samples,
  scorers: scoringEntries(file, suite, policy).map(({ entry }) => entry),
  reference: file.reference,
});

const logprobsOf = (suite: LogprobSuite) => ({
  method: 'evaluate',
  data: suite.data,
  template: suite.kind === 'multiple_choice' ? suite.template : undefined,
  testFraction: suite.testFraction,
  maxLength: suite.maxLength,
});

/** Where the file says what a run has by a path of its own. */
function placeOf(
  path: readonly PropertyKey[],
  {
    file,
    suite,
    index,
    policy,
  }: {
    readonly file: EvaluationFile;
    readonly suite: Suite;
    readonly index: number;
    readonly policy: string;
  },
): PropertyKey[] {
  const [setting, place, ...rest] = path;
  const within = ['suites', index];
  switch (setting) {
    case 'run':
      return ['evaluation'];
    case 'model':
      return ['policies', policy, ...path.slice(1)];
    case 'reference':
    case 'seed':
      return [...path];
    case 'sampling':
      return isAnswered(suite) && suite.sampling === undefined ? [...path] : [...within, ...path];
    case 'scorers': {
      if (!isAnswered(suite) || typeof place !== 'number') return [...within, ...path];
      const entries = suite.kind === 'win_rate' ? 'judges' : 'scorers';
      return [...within, entries, scoringEntries(file, suite, policy)[place]!.place, ...rest];
    }
    case 'keep':
      return [...within, 'slices', ...path.slice(1)];
    default:
      return [...within, ...path];
  }
}
