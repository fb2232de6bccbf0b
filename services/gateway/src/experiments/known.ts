/** The runs of an experiment, as the projection of runs has them. */
import { ExperimentName } from '@rlhf-streams/events';
import type { RunView } from '@rlhf-streams/runs';
import { problem } from '@rlhf-streams/service';
import { z } from 'zod';

/** Parameters of every path below /v1/experiments/{experiment}. */
export const ExperimentPath = z.object({ experiment: ExperimentName });

/** The runs of each experiment in their order. */
export function experimentsOf(runs: ReadonlyMap<string, RunView>): Map<string, RunView[]> {
  const experiments = new Map<string, RunView[]>();
  for (const view of runs.values()) {
    if (view.experiment === undefined) continue;
    const members = experiments.get(view.experiment) ?? [];
    experiments.set(view.experiment, members);
    members.push(view);
  }
  for (const members of experiments.values()) members.sort(inOrder);
  return experiments;
}

/** Another client of the log may have asked for a run without its order: those come last. */
const inOrder = (a: RunView, b: RunView): number =>
  (a.order ?? Number.MAX_SAFE_INTEGER) - (b.order ?? Number.MAX_SAFE_INTEGER) ||
  a.requestedAt - b.requestedAt ||
  (a.run < b.run ? -1 : 1);

/** @throws a problem: 404 EXPERIMENT_NOT_FOUND. */
export function knownExperiment(experiment: string, runs: ReadonlyMap<string, RunView>): RunView[] {
  const members = [...runs.values()].filter((view) => view.experiment === experiment);
  if (members.length > 0) return members.sort(inOrder);
  throw problem(
    404,
    'EXPERIMENT_NOT_FOUND',
    'No such experiment',
    `there is no experiment ${experiment}: GET /v1/experiments lists them`,
  );
}
