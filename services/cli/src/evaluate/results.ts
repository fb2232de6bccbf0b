/** The results of an evaluation, from what its runs logged. */
import type { ReadDependencies } from '@rlhf-streams/archive';
import {
  type ChoiceScores,
  type Difference,
  differences,
  type Evaluation,
  type JudgeAgreement,
  type JudgedPair,
  judgeAgreements,
  type Measured,
  type Measurement,
  type MeasureOptions,
  measure,
  measureWins,
  type Observation,
} from '@rlhf-streams/evaluation';
import { type RunView, readRuns, scorersOf } from '@rlhf-streams/runs';
import { CliError } from '../errors.js';
import {
  type AnsweredSuite,
  COMPLETIONS,
  collectionOf,
  type EvaluationFile,
  isAnswered,
  type LogprobSuite,
  opponentsOf,
  type Suite,
} from './file.js';
import { type PairJudge, readPeople } from './people.js';
import { type Answered, readAnswers, readJudged } from './read.js';
import { answering, runOf, scoringEntries } from './runs.js';

type Numbers = Pick<Evaluation, 'measurements' | 'differences' | 'agreements'>;

/** @throws CliError CLI_EVALUATION_EMPTY for a suite of which a policy has nothing that could be measured. */
export async function readResults(reading: ReadDependencies, file: EvaluationFile): Promise<Evaluation> {
  const runs = await readRuns(reading.events.readAll(['runs']));
  const policies = Object.keys(file.policies);
  const failures: Evaluation['failures'][number][] = [];
  const numbers: Numbers[] = [];
  const failed = await failedByRun(reading);
  for (const suite of file.suites) {
    const views = Object.fromEntries(
      answering(file, suite).map((policy) => [policy, runs.get(runOf(file, suite, policy))!]),
    );
    numbers.push(
      isAnswered(suite)
        ? await ofAnswers(reading, { file, suite, views })
        : await ofLogprobs(reading, { file, suite, views }),
    );
    for (const policy of Object.keys(views)) {
      const items = failed.get(views[policy]!.run) ?? 0;
      if (items > 0) failures.push({ suite: suite.name, policy, items });
    }
  }
  return {
    name: file.evaluation,
    policies,
    baseline: file.baseline,
    measurements: numbers.flatMap(({ measurements }) => measurements),
    differences: numbers.flatMap(({ differences }) => differences),
    agreements: numbers.flatMap(({ agreements }) => agreements),
    failures,
  };
}

/** Items of runs that failed, as their steps say. */
async function failedByRun({ events }: ReadDependencies): Promise<Map<string, number>> {
  const byStep = new Map<string, { readonly run: string; readonly failed: number }>();
  for await (const { data } of events.readAll(['training-metrics'])) {
    const { run, step, metrics } = data;
    byStep.set(`${run}/${step}`, { run, failed: metrics['rollout/failed'] ?? 0 });
  }
  const failed = new Map<string, number>();
  for (const each of byStep.values()) failed.set(each.run, (failed.get(each.run) ?? 0) + each.failed);
  return failed;
}

interface Of<OneSuite extends Suite> {
  readonly file: EvaluationFile;
  readonly suite: OneSuite;
  /** The runs by policy. */
  readonly views: Readonly<Record<string, RunView>>;
}

type Measuring = Pick<Measured, 'measure' | 'by' | 'unit'> & {
  readonly observations: Readonly<Record<string, readonly Observation[]>>;
};

async function ofLogprobs(reading: ReadDependencies, of: Of<LogprobSuite>): Promise<Numbers> {
  const { suite, views } = of;
  const judged = await byPolicy(views, (view) => readJudged(reading, view));
  requireItems(of, judged);
  const observed = (measure: string, score: keyof ChoiceScores): Measuring => ({
    measure,
    unit: score === 'mc2' ? 'probability' : 'share',
    observations: mapped(judged, ({ item, fields, scores }) => ({ item, fields, value: scores[score] })),
  });
  // The stereotype is the first of the pair.
  if (suite.kind === 'paired_sentences')
    return { ...measured(of, [observed('stereotype_likelier', 'accuracy')]), agreements: [] };
  const severalTrue = Object.values(judged).some((items) => items.some(({ severalTrue }) => severalTrue));
  const { measures = severalTrue ? ['mc1', 'mc2'] : ['accuracy', 'accuracy_norm'] } = suite;
  return {
    ...measured(
      of,
      (measures as (keyof ChoiceScores)[]).map((score) => observed(score, score)),
    ),
    agreements: [],
  };
}

async function ofAnswers(reading: ReadDependencies, of: Of<AnsweredSuite>): Promise<Numbers> {
  const { file, suite, views } = of;
  const answers = await byPolicy(views, (view) => readAnswers(reading, view));
  requireItems(of, answers);
  const named = Object.keys(views).flatMap((policy) => {
    const entries = scoringEntries(file, suite, policy);
    return scorersOf(views[policy]!.config!).map(({ name }, i) => ({ name, pairs: entries[i]!.pairs }));
  });
  const namesOf = (pairs: boolean) => [
    ...new Set(named.filter((scorer) => scorer.pairs === pairs).map(({ name }) => name)),
  ];
  const scorers = namesOf(false);
  const numbers = measured(of, [
    ...scorers.map((scorer) => scores(suite, scorer, answers)),
    ...(file.reference === undefined ? [] : [klOf(answers)]),
    {
      measure: 'length',
      unit: 'tokens',
      observations: mapped(answers, ({ answers, ...about }) => ({
        ...about,
        value: mean(answers.map(({ rollout }) => rollout.tokens.length)),
      })),
    },
  ]);
  if (suite.kind !== 'win_rate') return { ...numbers, agreements: [] };
  const collections = suite.judges.flatMap((judge) => collectionOf(judge) ?? []);
  const people = await Promise.all(collections.map((collection) => readPeople(reading, collection)));
  const judges = [...scorers.map(byScore), ...namesOf(true).map(asJudged), ...people];
  const wins = winsOf(of, answers, judges);
  if (judges.every((judge) => people.includes(judge)) && wins.measurements.length === 0) {
    throw new CliError(
      'CLI_EVALUATION_EMPTY',
      `expected feedback to have a ranking of two of the answers of suite ${suite.name}, which only people judge; ${collections.map((collection) => `feedback:${collection}`).join(', ')} has none: add another judge, or have these answers ranked`,
    );
  }
  return {
    ...numbers,
    measurements: [...wins.measurements, ...numbers.measurements],
    agreements: wins.agreements,
  };
}

/** A number of each prompt's answers: mean, greatest or least score, or whether that is above a threshold. */
function scores(suite: AnsweredSuite, scorer: string, answers: ByPolicy<Answered>): Measuring {
  const { perPrompt, above } =
    suite.kind === 'win_rate' ? { perPrompt: 'mean' as const, above: undefined } : suite;
  const of = {
    mean,
    max: (values: readonly number[]) => Math.max(...values),
    min: (values: readonly number[]) => Math.min(...values),
  };
  const observations = mapped(answers, ({ answers, ...about }) => {
    // A scorer that does not apply to an answer says nothing of it.
    const values = answers.flatMap(({ reward }) => reward?.parts[scorer] ?? []);
    if (values.length === 0) return undefined;
    const value = of[perPrompt](values);
    return { ...about, value: above === undefined ? value : Number(value > above) };
  });
  return above === undefined
    ? { measure: 'score', by: scorer, unit: 'score', observations }
    : { measure: `share_above_${above}`, by: scorer, unit: 'share', observations };
}

/** The k1 estimate of each prompt's answers, whose mean is that of `sequenceKl`. */
const klOf = (answers: ByPolicy<Answered>): Measuring => ({
  measure: 'kl',
  unit: 'nats per sequence',
  observations: mapped(answers, ({ answers, ...about }) => {
    const known = answers.flatMap(({ rollout, reference }) =>
      reference
        ? [rollout.logprobs.reduce((sum, logprob, t) => sum + logprob - reference.logprobs[0]![t]!, 0)]
        : [],
    );
    return known.length === 0 ? undefined : { ...about, value: mean(known) };
  }),
});

/** The better of two answers is the one with the higher score. */
const byScore = (scorer: string): PairJudge => ({
  name: scorer,
  judge: ({ a, b }) => {
    const [one, other] = [a, b].map(({ reward }) => reward?.parts[scorer] ?? undefined);
    if (one === undefined || other === undefined) return undefined;
    return { outcome: one > other ? 'a' : one < other ? 'b' : 'tie' };
  },
});

/** The verdict of a judge of pairs, who saw both orders: the score is 1, 0 or, for a tie, between them. */
const asJudged = (judge: string): PairJudge => ({
  name: judge,
  judge: ({ a: { reward } }) => {
    const points = reward?.parts[judge];
    if (points === undefined || points === null) return undefined;
    const consistent = reward!.parts[`${judge}/as_given`] === reward!.parts[`${judge}/reversed`];
    return { outcome: points === 1 ? 'a' : points === 0 ? 'b' : 'tie', consistent };
  },
});

function winsOf(
  { file, suite }: Of<AnsweredSuite>,
  answers: ByPolicy<Answered>,
  judges: readonly PairJudge[],
) {
  const measurements: Measurement[] = [];
  const agreements: JudgeAgreement[] = [];
  const options = optionsOf(file, suite);
  for (const against of opponentsOf(suite, file)) {
    const others = new Map(answers[against]!.map((answered) => [answered.item, answered]));
    for (const [policy, answered] of Object.entries(answers)) {
      if (policy === against || policy === COMPLETIONS) continue;
      const about = { suite: suite.name, policy, against };
      const byJudge: Record<string, JudgedPair[]> = {};
      for (const { name, judge } of judges)
        byJudge[name] = answered.flatMap(({ item, prompt, fields, answers: [a] }) => {
          const b = others.get(item)?.answers[0];
          const verdict = a && b && judge({ prompt, a, b });
          if (!verdict) return [];
          return [
            { item, fields, ...verdict, lengthA: a.rollout.tokens.length, lengthB: b.rollout.tokens.length },
          ];
        });
      for (const [by, pairs] of Object.entries(byJudge))
        measurements.push(...measureWins({ ...about, by }, pairs, options));
      agreements.push(...judgeAgreements(about, byJudge, options));
    }
  }
  return { measurements, agreements };
}

const optionsOf = ({ seed }: EvaluationFile, { slices }: Suite): MeasureOptions => ({ seed, slices });

/** Each measure of every policy, and how the others differ from the baseline in it. */
function measured({ file, suite }: Of<Suite>, measures: readonly Measuring[]): Omit<Numbers, 'agreements'> {
  const options = optionsOf(file, suite);
  const measurements: Measurement[] = [];
  const differing: Difference[] = [];
  const { baseline } = file;
  for (const { observations, ...of } of measures) {
    const about = { suite: suite.name, kind: suite.kind, ...of };
    for (const [policy, observed] of Object.entries(observations)) {
      if (policy === COMPLETIONS) continue;
      measurements.push(...measure({ ...about, policy }, observed, options));
      if (policy !== baseline)
        differing.push(
          ...differences({ ...about, policy, against: baseline }, observed, observations[baseline]!, options),
        );
    }
  }
  return { measurements, differences: differing };
}

function requireItems({ suite, views }: Of<Suite>, items: ByPolicy<unknown>): void {
  const policy = Object.keys(items).find((policy) => items[policy]!.length === 0);
  if (policy === undefined) return;
  throw new CliError(
    'CLI_EVALUATION_EMPTY',
    `expected run ${views[policy]!.run} to have measured something for suite ${suite.name}, but every item of it failed`,
  );
}

type ByPolicy<T> = Readonly<Record<string, readonly T[]>>;

const byPolicy = async <T>(
  views: Readonly<Record<string, RunView>>,
  read: (view: RunView) => Promise<readonly T[]>,
): Promise<ByPolicy<T>> =>
  Object.fromEntries(
    await Promise.all(
      Object.entries(views).map(async ([policy, view]) => [policy, await read(view)] as const),
    ),
  );

const mapped = <T>(
  items: ByPolicy<T>,
  observe: (item: T) => Observation | undefined,
): Record<string, Observation[]> =>
  Object.fromEntries(
    Object.entries(items).map(([policy, each]) => [policy, each.flatMap((item) => observe(item) ?? [])]),
  );

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
