import '@rlhf-streams/kafka-broker/vitest';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafetensors } from '@rlhf-streams/model';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type Fact, live, versionsIn } from '../crash/life.js';
import { type Outcome, outcomeIn, weightsIn } from '../platform/outcome.js';
import { methodRuns, sourceRuns, writeData } from './method-runs.js';

const KILLED_AFTER = 2;
const LIMIT_MS = 600_000;
/** 1e-7 is what they are apart; a step that is lost or doubled would be about the learning rate, 2e-3. */
const WEIGHTS_WITHIN = 1e-5;
const environment = { RLHF_ENGINE: 'tensorflow' };

describe.skipIf(!inject('tensorflow'))('runs on the tensorflow engine that are killed', () => {
  let folder: string;
  let whole: {
    readonly outcome: Outcome;
    readonly versions: number;
    /** Files, by run. */
    readonly weights: Readonly<Record<string, string>>;
  };
  let killed: typeof whole;
  const runs: RunConfigInput[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tensorflow-'));
    const data = await writeData(folder);
    const { ppo, dpo } = methodRuns(data);
    for (const [run, config] of Object.entries({ ppo, dpo })) runs.push({ ...config!, run: `of-${run}` });

    const directory = join(folder, 'whole');
    expect(await live({ directory, runs: sourceRuns(data), facts: new Map(), environment })).toBe(
      'completed',
    );
    const other = join(folder, 'killed');
    await cp(directory, other, { recursive: true });

    whole = await lived(directory, new Map());
    const facts = new Map<string, Fact>();
    for (const [i, { run }] of runs.entries()) {
      const options = { directory: other, runs: runs.slice(0, i + 1), facts, environment };
      expect(await live({ ...options, killedAfter: { run, step: KILLED_AFTER } })).toBe('SIGKILL');
    }
    killed = await lived(other, facts);
  }, LIMIT_MS);
  afterAll(() => folder && rm(folder, { recursive: true }));

  const lived = async (directory: string, facts: Map<string, Fact>) => {
    expect(await live({ directory, runs, facts, environment })).toBe('completed');
    return {
      outcome: await outcomeIn(directory),
      versions: versionsIn(facts).length,
      weights: await weightsIn(directory),
    };
  };

  it('lose nothing and double nothing', () => {
    const places = ({ outcome }: typeof whole) => outcome.steps.map(({ run, step }) => `${run} ${step}`);
    expect(places(killed)).toEqual(places(whole));
    expect(new Set(places(killed)).size).toBe(places(killed).length);
    expect(killed.versions).toBe(whole.versions);
    expect(killed.outcome.deadLetters).toEqual([]);
  });

  it('end where those end that are not, up to rounding', () => {
    for (const name of ['loss', 'loss/policy_avg', 'loss/value_avg', 'objective/scores'])
      whole.outcome.steps.forEach(({ run, step, metrics }, i) => {
        if (metrics[name] === undefined) return;
        const apart = Math.abs(killed.outcome.steps[i]!.metrics[name]! - metrics[name]);
        expect(apart / Math.max(1, Math.abs(metrics[name])), `${name} of ${run}, step ${step}`).toBeLessThan(
          1e-3,
        );
      });
  });

  it('end in the weights of those that are not, up to rounding', async () => {
    for (const { run } of runs) {
      const { tensors: expected } = await readSafetensors(whole.weights[run]!);
      const { tensors } = await readSafetensors(killed.weights[run]!);
      expect([...tensors.keys()]).toEqual([...expected.keys()]);
      for (const [name, { data }] of expected) {
        const apart = farthest(effective(name, tensors.get(name)!.data), effective(name, data));
        expect(apart, `${name} of ${run}`).toBeLessThan(WEIGHTS_WITHIN);
      }
    }
  });
});

type Numbers = ArrayLike<number | bigint>;

/**
 * The numbers of a tensor that change what is computed. The biases of keys do not: they add the same to all scores of a query, of
 * which softmax takes no notice. Their gradient is rounding alone, which Adam may scale to whole steps.
 */
function effective(name: string, data: Numbers): number[] {
  const numbers = Array.from(data, Number);
  const width = numbers.length / 3;
  return name.endsWith('.attn.c_attn.bias') ? numbers.toSpliced(width, width) : numbers;
}

function farthest(a: readonly number[], b: readonly number[]): number {
  expect(a.length).toBe(b.length);
  return Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));
}
