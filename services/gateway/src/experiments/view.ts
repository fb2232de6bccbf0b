/** Experiments as clients see them. */
import { Tags } from '@rlhf-streams/events';
import { hasEnded, type RunView } from '@rlhf-streams/runs';
import { z } from 'zod';
import type { RunsContext } from '../runs/context.js';
import { RunSummary, Status, summaryOf } from '../runs/view.js';

const links = z.object({ self: z.string(), runs: z.string(), cancel: z.string() });

export const ExperimentSummary = z
  .object({
    experiment: z.string(),
    tags: Tags.optional().describe('those that all of its runs have'),
    status: Status.describe(
      '`requested` until a run starts, `paused` while one is, `running` until all have ended; then `failed` where a run failed, `cancelled` where one was cancelled, and else `completed`',
    ),
    requestedAt: z.iso.datetime().describe('when its first run was requested'),
    endedAt: z.iso.datetime().optional().describe('when its last run ended'),
    runs: z
      .object({ total: z.int(), ended: z.int(), completed: z.int() })
      .describe('how many there are of them'),
    links,
  })
  .meta({ id: 'ExperimentSummary' });
export type ExperimentSummary = z.output<typeof ExperimentSummary>;

export const Experiment = ExperimentSummary.extend({
  runs: z
    .array(RunSummary)
    .describe('in their order; each starts when those that it waits for have completed'),
}).meta({ id: 'Experiment' });
export type Experiment = z.output<typeof Experiment>;

const about = (experiment: string, runs: readonly RunView[]): Omit<ExperimentSummary, 'runs'> => {
  const tags = commonTags(runs);
  const self = locationOf(experiment);
  const iso = (time: number) => new Date(time).toISOString();
  return {
    experiment,
    ...(tags && { tags }),
    status: statusOf(runs),
    requestedAt: iso(requestedAt(runs)),
    ...(runs.every(hasEnded) && { endedAt: iso(Math.max(...runs.map(({ endedAt }) => endedAt!))) }),
    links: { self, runs: `/v1/runs?experiment=${experiment}`, cancel: `${self}/cancel` },
  };
};

export const summaryOfExperiment = (experiment: string, runs: readonly RunView[]): ExperimentSummary => ({
  ...about(experiment, runs),
  runs: {
    total: runs.length,
    ended: runs.filter(hasEnded).length,
    completed: runs.filter(({ status }) => status === 'completed').length,
  },
});

export const viewOfExperiment = (
  experiment: string,
  runs: readonly RunView[],
  context: Pick<RunsContext, 'runs' | 'history'>,
): Experiment => ({
  ...about(experiment, runs),
  runs: runs.map((state) => summaryOf(state, context)),
});

export const requestedAt = (runs: readonly RunView[]): number =>
  Math.min(...runs.map(({ requestedAt }) => requestedAt));

function statusOf(runs: readonly RunView[]): ExperimentSummary['status'] {
  const has = (status: RunView['status']) => runs.some((run) => run.status === status);
  if (runs.every(hasEnded)) return has('failed') ? 'failed' : has('cancelled') ? 'cancelled' : 'completed';
  if (has('paused')) return 'paused';
  return runs.every(({ status }) => status === 'requested') ? 'requested' : 'running';
}

function commonTags([first, ...others]: readonly RunView[]): Tags | undefined {
  const common = Object.entries(first?.tags ?? {}).filter(([name, value]) =>
    others.every(({ tags }) => tags?.[name] === value),
  );
  return common.length > 0 ? Object.fromEntries(common) : undefined;
}

export const locationOf = (experiment: string): string => `/v1/experiments/${experiment}`;
