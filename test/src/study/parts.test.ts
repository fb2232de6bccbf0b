import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Measured } from '@rlhf-streams/evaluation';
import { renderReport } from '@rlhf-streams/evaluation/report';
import { experimentMistakes } from '@rlhf-streams/runs';
import {
  measure,
  metricsOf,
  parseFrontier,
  planEvaluation,
  type RunSet,
  runSetOf,
  type ShownRun,
} from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { baseRuns } from './base.js';
import type { Carrier, StudyOptions } from './part.js';
import { parts } from './parts/index.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'study-'));
  const rankings = Array.from({ length: 80 }, (_, index) => ({
    prompt: `Question ${index}?`,
    completions: ['so', 'not so', 'perhaps', 'who knows'],
    ranks: [1, 2, 2, 4],
  }));
  for (const name of ['train', 'test'])
    await writeFile(
      join(folder, `${name}.jsonl`),
      rankings.map((row) => `${JSON.stringify(row)}\n`).join(''),
    );
});
afterAll(() => rm(folder, { recursive: true }));

/** Numbers that every run reports, a little different for each run and step. */
function metricsFor(run: string) {
  const draw = [...run].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 1009, 7) / 1009;
  return Array.from({ length: 6 }, (_, step) => ({
    step,
    split: 'train' as const,
    policyVersion: step + 1,
    time: new Date(1000 * step).toISOString(),
    metrics: {
      'objective/scores': draw + step / 10,
      'objective/kl': 1 + draw,
      'rollout/length': 20 + 5 * draw,
      'scores/gold': draw,
      'eval/loss': 3 - draw,
      'eval/accuracy': 0.5 + draw / 2,
      'eval/rewards/accuracies': 0.5 + draw / 2,
      'timing_s/update': 1,
    },
  }));
}

/** Checks what is asked for, and says that every run completed, or that none did. */
function pretending(status: 'completed' | 'failed'): Carrier & { readonly asked: string[] } {
  const asked: string[] = [];
  const request = async (path: string) => Response.json(metricsFor(path.split('/')[3]!));
  const carryOut = ({ experiment, first, members }: RunSet): ShownRun[] => {
    const runs = [...first, ...members.flat()];
    expect(experimentMistakes({ experiment, runs })).toEqual([]);
    asked.push(...runs.map(({ run }) => run));
    const steps = { done: status === 'completed' ? 6 : 0 };
    return runs.map(({ run }) => ({
      run,
      status,
      steps,
      requestedAt: '',
      cause: { code: 'X', message: 'no' },
    }));
  };
  return {
    asked,
    async sweep(input) {
      const plan = parseFrontier(input, input.frontier);
      return measure({ request }, plan, carryOut(runSetOf(plan)));
    },
    async carry(set) {
      const runs = carryOut(set);
      if (status === 'failed')
        return { steps: new Map(), failed: runs.map(({ run }) => ({ run, cause: 'no' })) };
      const steps = new Map<string, Awaited<ReturnType<typeof metricsOf>>>();
      for (const { run } of runs) steps.set(run, await metricsOf({ request }, run));
      return { steps, failed: [] };
    },
    async evaluate(evaluation, policies) {
      const { file, experiment } = planEvaluation(evaluation, evaluation.evaluation);
      const first = [...policies, ...experiment.runs];
      const runs = carryOut({ experiment: file.evaluation, first, members: [] });
      if (status === 'failed') return { failed: runs.map(({ run }) => ({ run, cause: 'no' })) };
      const names = Object.keys(file.policies);
      const estimate = { mean: 0.01, low: -0.02, high: 0.04, n: 9 };
      const told = file.suites.flatMap(({ name: suite, kind }) =>
        names.map((policy): Measured & { readonly estimate: typeof estimate } => ({
          ...{ suite, kind, policy, estimate },
          measure: kind === 'scores' ? 'score' : 'accuracy',
          unit: kind === 'scores' ? 'score' : 'share',
        })),
      );
      return {
        ...{ name: file.evaluation, policies: names, baseline: file.baseline, agreements: [], failures: [] },
        measurements: told,
        differences: told
          .filter(({ policy }) => policy !== file.baseline)
          .map((each) => ({ ...each, against: file.baseline })),
      };
    },
  };
}

const studyOf = (short: boolean): StudyOptions => ({
  short,
  seeds: short ? [0] : [0, 1, 2],
  files: join(folder, 'files'),
  alpaca: folder,
  model: folder,
});

describe.each(parts)('part $name', (part) => {
  it.each([
    ['in full', false],
    ['in short', true],
  ])('%s asks for valid runs of names of its own, and has an answer in the report', async (_, short) => {
    const carrier = pretending('completed');
    const answer = await part.answer(studyOf(short), carrier);
    expect(carrier.asked.length).toBeGreaterThan(0);
    expect(new Set(carrier.asked).size).toBe(carrier.asked.length);
    expect(answer.result).toBeTruthy();
    expect(answer.charts!.flatMap(({ series }) => series).flatMap(({ points }) => points)).not.toEqual([]);
    const page = renderReport({
      title: 't',
      createdAt: '2026-03-04T05:06:07Z',
      facts: [],
      parts: [{ title: part.title, text: part.text, ...answer }],
    });
    expect(page.replace(/<(script|style)\b[^>]*>[\s\S]*?<\/\1>/g, '')).not.toMatch(/NaN|Infinity|undefined/);
  });

  it('shows that all of its runs failed', async () => {
    const carrier = pretending('failed');
    const answer = await part.answer(studyOf(true), carrier);
    const rows = answer.tables!.flatMap(({ rows }) => rows.map(([first]) => first));
    expect(rows).toEqual(expect.arrayContaining(carrier.asked.slice(-1)));
  });
});

it.each([
  ['rankings', { alpaca: undefined }, ['k-wise', 'k-wise-lora']],
  ['a model', { model: undefined }, ['k-wise-lora']],
])('what needs %s is left out where there are none', (_, missing, names) => {
  const skipped = parts.filter((part) => part.skipped?.({ ...studyOf(true), ...missing }) !== undefined);
  expect(skipped.map(({ name }) => name)).toEqual(names);
});

it('all parts build on runs that begin with valid configurations', () => {
  for (const short of [true, false])
    expect(experimentMistakes({ experiment: 'study-base', runs: baseRuns(studyOf(short)) })).toEqual([]);
});
