/** Reads FRONTIER.yaml: every mistake is named by its path there. */
import { readFile } from 'node:fs/promises';
import { explainMistake } from '@rlhf-streams/events';
import {
  experimentMistakes,
  type Mistake,
  methods,
  mistakesInWords,
  onlyMeasures,
  parseRunConfig,
  type RunConfig,
  runConfigMistakes,
  specOf,
} from '@rlhf-streams/runs';
import { parse } from 'yaml';
import { CliError } from '../errors.js';
import { allRuns, type FrontierPlan, type Json, type Member, planOf } from './plan.js';
import { FrontierFile } from './schema.js';

/** @throws CliError CLI_FILE_UNREADABLE; CLI_FILE_INVALID as `parseFrontier` does. */
export async function readFrontier(path: string): Promise<FrontierPlan<RunConfig>> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw new CliError('CLI_FILE_UNREADABLE', `expected ${path} to be a readable file: ${cause.message}`, {
      cause,
    });
  });
  let json: unknown;
  try {
    json = parse(text);
  } catch (cause) {
    throw new CliError('CLI_FILE_INVALID', `${path} is no YAML: ${(cause as Error).message}`, { cause });
  }
  return parseFrontier(json, path);
}

/**
 * The runs that a file asks for.
 * @param where what holds it, for errors
 * @throws CliError CLI_FILE_INVALID naming every mistake by its path in the file, what was expected and what came.
 */
export function parseFrontier(json: unknown, where: string): FrontierPlan<RunConfig> {
  const file = FrontierFile.safeParse(json, { error: explainMistake });
  const mistakes = file.success ? mistakesIn(file.data) : file.error.issues;
  if (mistakes.length > 0)
    throw new CliError(
      'CLI_FILE_INVALID',
      `${where} is not a frontier:\n${mistakesInWords([...distinct(mistakes)])}`,
    );
  const { runs, reference, members, ...rest } = planOf(file.data!);
  return {
    ...rest,
    runs: runs.map(parseRunConfig),
    reference: parseRunConfig(reference),
    members: members.map(({ run, evaluations, ...member }) => ({
      ...member,
      run: parseRunConfig(run),
      evaluations: evaluations.map(({ step, run }) => ({ step, run: parseRunConfig(run) })),
    })),
  };
}

function mistakesIn(file: FrontierFile): Mistake[] {
  const misnamed = Object.keys(file.members)
    .filter((name) => !MEMBER_NAME.test(name))
    .map((name) =>
      mistake(['members', name], 'expected a name of a-z 0-9 _ -, beginning with a letter or digit'),
    );
  if (misnamed.length > 0) return misnamed;
  const plan = planOf(file);
  const taken = [
    ...given(['evaluate'], file.evaluate, ['run', 'seed', 'method', 'model', 'testPrompts', 'steps', 'rank']),
    ...Object.entries(file.members).flatMap(([name, { run }]) =>
      given(['members', name, 'run'], run, ['run', 'seed']),
    ),
  ];
  const missing = [
    ...(Object.keys(file.members).length > 0 ? [] : [mistake(['members'], 'expected at least one member')]),
    ...(file.evaluate.reference !== undefined
      ? []
      : [mistake(['evaluate', 'reference'], 'expected the policy that KL is measured from, got nothing')]),
    ...(Array.isArray(file.evaluate.scorers) && file.evaluate.scorers.length > 0
      ? []
      : [mistake(['evaluate', 'scorers'], 'expected a list of scorers, of which the first judges')]),
  ];
  const wrong = [
    ...taken,
    ...missing,
    ...plan.runs.flatMap((run, index) => moved(runConfigMistakes(run), ['runs', index])),
    ...moved(runConfigMistakes(plan.reference), ['evaluate']).filter(({ path }) => path[1] !== 'model'),
    ...plan.members.flatMap((member) => mistakesOfMember(file, member)),
  ];
  if (wrong.length > 0) return wrong;
  // What the runs are to each other: names that come twice, and too many.
  return experimentMistakes({ experiment: plan.experiment, runs: allRuns(plan) });
}

/** What is wrong with a member's run, at its place in the file: in the run, or in the sweep that set it. */
function mistakesOfMember(
  { evaluate, members }: FrontierFile,
  { member, values, run }: Member<Json>,
): Mistake[] {
  const place = (path: PropertyKey[]): PropertyKey[] => {
    const swept = Object.keys(values).find((swept) => `${path.join('.')}.`.startsWith(`${swept}.`));
    if (swept === undefined) return ['members', member, 'run', ...path];
    const index = members[member]!.sweep[swept]!.indexOf(values[swept]);
    return ['members', member, 'sweep', swept, index, ...path.slice(swept.split('.').length)];
  };
  const mistakes = runConfigMistakes(run).map((mistake) => ({ ...mistake, path: place(mistake.path) }));
  if (mistakes.length > 0) return mistakes;
  const config = parseRunConfig(run);
  const { publishEvery } = specOf(config);
  const { every } = evaluate;
  const heldOut = Number(evaluate.testFraction ?? DEFAULT_TEST_FRACTION);
  return [
    ...(methods[config.method].publishes === 'policy' && !onlyMeasures(config)
      ? []
      : [mistake(place(['method']), `expected a method that trains a policy, got ${config.method}`)]),
    ...(config.steps !== undefined
      ? []
      : [mistake(place(['steps']), 'expected steps, which evaluations count by, got epochs')]),
    ...(every % publishEvery === 0
      ? []
      : [
          mistake(
            place(['checkpointEvery']),
            `expected a divisor of evaluate.every, ${every}, so that there are versions to evaluate, got ${publishEvery}`,
          ),
        ]),
    ...('prompts' in config && config.prompts === evaluate.prompts && config.testFraction < heldOut
      ? [
          mistake(
            place(['testFraction']),
            `expected at least ${heldOut}, the share of the prompts that evaluations hold out, got ${config.testFraction}: it would train on them`,
          ),
        ]
      : []),
  ];
}

/** It is part of the names of runs. */
const MEMBER_NAME = /^[a-z0-9][a-z0-9_-]*$/;

/** Of a sampling run. */
const DEFAULT_TEST_FRACTION = 0.1;

const mistake = (path: PropertyKey[], message: string): Mistake => ({ path, message, code: 'custom' });

const moved = (mistakes: readonly Mistake[], place: PropertyKey[]): Mistake[] =>
  mistakes.map((mistake) => ({ ...mistake, path: [...place, ...mistake.path] }));

/** Settings that each run of a frontier has of its own. */
const given = (place: PropertyKey[], run: Json, names: readonly string[]): Mistake[] =>
  names
    .filter((name) => run[name] !== undefined)
    .map((name) =>
      mistake([...place, name], 'expected to be left out: the frontier sets it for each of its runs'),
    );

function* distinct(mistakes: readonly Mistake[]): Generator<Mistake> {
  const seen = new Set<string>();
  for (const mistake of mistakes) {
    const written = JSON.stringify([mistake.path, mistake.message]);
    if (!seen.has(written)) yield mistake;
    seen.add(written);
  }
}
