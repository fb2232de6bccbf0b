/** A set of runs that are asked for together: each waits for those that it builds on. */
import { ExperimentName, explainMistake, Tags } from '@rlhf-streams/events';
import { z } from 'zod';
import { RunError } from './errors.js';
import { inWords, type Mistake } from './mistakes.js';
import { namedSources, RunConfig, runConfigMistakes, runsBuiltOn } from './run-config.js';

const MOST_RUNS = 500;

/** What POST /v1/experiments takes, and a file of `rlhf-streams run` may hold. */
export const Experiment = z.strictObject({
  experiment: ExperimentName,
  tags: Tags.optional().describe('of each of its runs'),
  runs: z.array(RunConfig).min(1).max(MOST_RUNS).describe('in the order in which they are shown'),
});
export type Experiment = z.output<typeof Experiment>;
export type ExperimentInput = z.input<typeof Experiment>;

/** The set with its runs unread: `runConfigMistakes` explains those better. */
const Outline = Experiment.extend({ runs: z.array(z.unknown()).min(1).max(MOST_RUNS) });

/** Everything that is wrong with a set of runs, by its path: of each run, and of what they are to each other. */
export function experimentMistakes(json: unknown): Mistake[] {
  const outline = Outline.safeParse(json, { error: explainMistake });
  const mistakes: Mistake[] = outline.success ? [] : [...outline.error.issues];
  const asked = (json as { runs?: unknown } | null | undefined)?.runs;
  if (!Array.isArray(asked) || asked.length > MOST_RUNS) return mistakes;
  const wrong = asked.flatMap((run, index) =>
    runConfigMistakes(run).map(({ path, ...mistake }) => ({ ...mistake, path: ['runs', index, ...path] })),
  );
  if (wrong.length > 0) return [...mistakes, ...wrong];
  const runs = asked.map((run) => RunConfig.parse(run));
  return [...mistakes, ...sameNames(runs), ...circles(runs)];
}

/** @throws RunError TRAINING_CONFIG_INVALID naming every mistake by its path, what was expected and what came. */
export function parseExperiment(json: unknown): Experiment {
  const mistakes = experimentMistakes(json);
  if (mistakes.length === 0) return Experiment.parse(json);
  throw new RunError('TRAINING_CONFIG_INVALID', `not an experiment:\n${inWords(mistakes)}`);
}

function sameNames(runs: readonly RunConfig[]): Mistake[] {
  const first = new Map<string, number>();
  return runs.flatMap(({ run }, index) => {
    const other = first.get(run);
    if (other === undefined) {
      first.set(run, index);
      return [];
    }
    const message = `expected a name that no other run of the set has, got ${run}, as runs[${other}] is called`;
    return [{ path: ['runs', index, 'run'], message, code: 'duplicate' }];
  });
}

/** Each circle once, at the first of its runs. */
function circles(runs: readonly RunConfig[]): Mistake[] {
  const indexes = new Map(runs.map(({ run }, index) => [run, index]));
  /** Runs that lead to no circle, or to one that is told already. */
  const known = new Set<string>();
  const circleFrom = (way: readonly string[]): readonly string[] | undefined => {
    const run = way.at(-1)!;
    const begun = way.indexOf(run);
    if (begun < way.length - 1) return way.slice(begun);
    const index = indexes.get(run);
    if (known.has(run) || index === undefined) return undefined;
    for (const source of runsBuiltOn(runs[index]!)) {
      const circle = circleFrom([...way, source]);
      if (circle) return circle;
    }
    known.add(run);
    return undefined;
  };
  return runs.flatMap(({ run }) => {
    const circle = circleFrom([run]);
    if (!circle) return [];
    for (const each of circle) known.add(each);
    const [first, next] = circle as [string, string];
    const index = indexes.get(first)!;
    const message = `expected runs that end before this one starts, got a circle in which each waits for the next: ${circle.join(', ')}`;
    return [{ path: ['runs', index, ...sourcePath(runs[index]!, next)], message, code: 'circle' }];
  });
}

/** Where a configuration names a run that it builds on. */
export function sourcePath(config: RunConfig, run: string): readonly (string | number)[] {
  const named = namedSources(config).find(({ source }) => source.from === 'run' && source.run === run);
  return named?.path ?? ['replay'];
}
