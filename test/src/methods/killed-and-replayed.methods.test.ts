import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { methodNames, methods, type RunConfigInput } from '@rlhf-streams/runs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Fact, live, versionsIn } from '../crash/life.js';
import { type Outcome, outcomeIn } from '../platform/outcome.js';
import { methodRuns, sourceRuns, writeData } from './method-runs.js';

/** The step behind which a run is killed: after its first checkpoint, and between two of them. */
const KILLED_AFTER = 2;
const LIMIT_MS = 600_000;

const names = Object.keys(methodRuns({ reviews: '', thumbs: '' }));
const idOf = (name: string) => `of-${name}`;
const again = (name: string) => `${idOf(name)}-again`;

interface End {
  readonly outcome: Outcome;
  readonly versions: readonly string[];
}

let folder: string;
let runs: readonly RunConfigInput[];
/** All runs, and a replay of each, in a process that nobody kills. */
let whole: End;
/** All runs, one after another, each in a process that is killed in the middle of it. */
let killed: End;
/** The versions that each run had published when its process was killed. */
const publishedBefore = new Map<string, number>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'methods-'));
  const data = await writeData(folder);
  const configs = methodRuns(data);
  runs = names.map((name) => ({ ...configs[name]!, run: idOf(name) }));

  const directory = join(folder, 'whole');
  expect(await live({ directory, runs: sourceRuns(data), facts: new Map() })).toBe('completed');
  const other = join(folder, 'killed');
  await cp(directory, other, { recursive: true });

  const replays = runs.map(
    (run, i) => ({ ...run, run: again(names[i]!), replay: run.run }) as RunConfigInput,
  );
  whole = await lived(directory, [...runs, ...replays]);
  killed = await livedInSpiteOfKills(other);
}, LIMIT_MS);
afterAll(() => rm(folder, { recursive: true }));

async function lived(
  directory: string,
  runs: readonly RunConfigInput[],
  facts = new Map<string, Fact>(),
): Promise<End> {
  expect(await live({ directory, runs, facts })).toBe('completed');
  return { outcome: await outcomeIn(directory), versions: versionsIn(facts) };
}

/** A process completes the run before, and is killed in the next one. */
async function livedInSpiteOfKills(directory: string): Promise<End> {
  const facts = new Map<string, Fact>();
  for (const [i, { run }] of runs.entries()) {
    const soFar = runs.slice(0, i + 1);
    const killedAfter = { run, step: KILLED_AFTER };
    expect(await live({ directory, runs: soFar, facts, killedAfter })).toBe('SIGKILL');
    publishedBefore.set(run, versionsOf({ versions: versionsIn(facts) }, run).length);
  }
  return lived(directory, runs, facts);
}

/** Number and artifact of every version of a run. */
const versionsOf = ({ versions }: Pick<End, 'versions'>, run: string): string[] =>
  versions.flatMap((version) => (version.startsWith(`${run} `) ? version.slice(run.length) : []));

const stepsOf = ({ outcome }: End, run: string) =>
  outcome.steps.filter((step) => step.run === run).map((step) => ({ ...step, run: '' }));

it('every method that trains is among the runs', () => {
  const training = methodNames.filter((name) => 'optimizer' in methods[name].config.shape);
  expect(new Set(runs.map(({ method }) => method))).toEqual(new Set(training));
});

describe.each(names)('a run of %s', (name) => {
  const run = idOf(name);

  it('that is killed ends in the same bits', () => {
    const steps = stepsOf(whole, run);
    expect(steps.length).toBeGreaterThan(KILLED_AFTER + 1);
    expect(stepsOf(killed, run)).toEqual(steps);
    const versions = versionsOf(whole, run);
    expect(publishedBefore.get(run)).toBeLessThan(versions.length);
    expect(versionsOf(killed, run)).toEqual(versions);
    expect(killed.outcome.weights[run]).toBe(whole.outcome.weights[run]);
  });

  it('is reproduced by its replay, version by version', () => {
    const [, ...versions] = versionsOf(whole, run);
    expect(versions.length).toBeGreaterThan(1);
    const [, ...replayed] = versionsOf(whole, again(name));
    expect(replayed).toEqual(versions);
    expect(stepsOf(whole, again(name))).toEqual(stepsOf(whole, run));
  });
});
