/** Carries out the runs of a study on one platform, a few at a time, in the order of its parts. */
import { parseRunConfig, runsBuiltOn } from '@rlhf-streams/runs';
import {
  carryOut,
  measure,
  metricsOf,
  type Platform,
  parseFrontier,
  planEvaluation,
  type RunSet,
  readResults,
  runSetOf,
  type ShownRun,
  sweepLines,
} from 'rlhf-streams';
import { BASE, baseRuns } from './base.js';
import type { Carrier, MeasuredStep, RunMetrics, StudyOptions } from './part.js';

export function carrier(
  platform: Platform,
  study: StudyOptions,
  options: { readonly parallel: number; readonly signal: AbortSignal },
): Carrier {
  const runAll = async (set: RunSet): Promise<readonly ShownRun[]> => {
    const lines = sweepLines();
    return carryOut(platform, set, { ...options, looked: lines.looked }).finally(lines.close);
  };
  // Every part on the quickstart's task names these runs; they are asked for with the first.
  let base: Promise<unknown> | undefined;
  const withBase = () => {
    base ??= runAll({
      experiment: 'study-base',
      first: baseRuns(study).map((run) => parseRunConfig(run)),
      members: [],
    });
    return base;
  };
  return {
    async sweep(input) {
      await withBase();
      const plan = parseFrontier(input, input.frontier);
      return measure(platform, plan, await runAll(runSetOf(plan)));
    },
    async carry(set) {
      const all = [...set.first, ...set.members.flat()];
      if (all.some((run) => runsBuiltOn(run).some((name) => BASE.some((base) => base === name))))
        await withBase();
      const runs = await runAll(set);
      const steps = new Map<string, readonly MeasuredStep[]>();
      for (const { run, status } of runs)
        if (status === 'completed') steps.set(run, await metricsOf(platform, run));
      return { steps, failed: failedOf(runs) };
    },
    async evaluate(evaluation, policies) {
      await withBase();
      const { file, experiment } = planEvaluation(evaluation, evaluation.evaluation);
      const first = [...policies, ...experiment.runs];
      const failed = failedOf(await runAll({ experiment: file.evaluation, first, members: [] }));
      return failed.length > 0 ? { failed } : readResults(platform, file);
    },
  };
}

const failedOf = (runs: readonly ShownRun[]): RunMetrics['failed'] =>
  runs
    .filter(({ status }) => status !== 'completed')
    .map(({ run, cause }) => ({ run, cause: cause?.message ?? 'no cause given' }));
