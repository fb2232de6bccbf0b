/** Runs as clients see them. */
import { ArtifactRef, Build, Cause, DataAccount, ModelRecord } from '@rlhf-streams/events';
import {
  isArchived,
  methodNames,
  RunConfig as RunConfigSchema,
  type RunView,
  runStatuses,
  stepsOf,
} from '@rlhf-streams/runs';
import { z } from 'zod';
import type { RunsContext } from './context.js';
import { StepMetrics, stepsDone } from './progress.js';
import { Replica } from './replicas.js';

export const RunConfig = RunConfigSchema.meta({
  id: 'RunConfig',
  description: 'What POST /v1/runs takes; as shown, with every default filled in',
});
export type RunConfig = z.output<typeof RunConfig>;

export const Status = z.enum(runStatuses);

export const Method = z.enum(methodNames);

export const RunSummary = z
  .object({
    run: z.string(),
    method: Method.optional().describe('absent when the request held no valid configuration'),
    status: Status,
    requestedAt: z.iso.datetime(),
    endedAt: z.iso.datetime().optional(),
    steps: z.object({
      done: z.int(),
      total: z.int().optional().describe('training steps, and one more where held-out items are evaluated'),
    }),
    policyVersion: z.int().optional().describe('the newest published'),
    cause: Cause.optional().describe('why it failed or was cancelled'),
    paused: z
      .record(z.string(), Cause)
      .optional()
      .describe('what it waits for outside of it, by the service that met it; it goes on by itself'),
  })
  .meta({ id: 'RunSummary' });

const Waiting = z.object({
  step: z.int(),
  waitingFor: z.record(z.string(), z.int()).describe('missing items by topic'),
  sinceMs: z.int(),
  deadlineMs: z.int().describe('the run fails after waiting for this time'),
});

export const Run = RunSummary.extend({
  config: RunConfig.optional(),
  artifacts: z.record(z.string(), ArtifactRef).optional().describe('models, scorers and datasets by role'),
  models: z.record(z.string(), ModelRecord).optional().describe('what models and scorers are, by role'),
  data: DataAccount.optional().describe('what became of the rows of its data, once it has started'),
  policy: z
    .object({ version: z.int(), step: z.int().describe('steps done'), artifact: ArtifactRef })
    .optional()
    .describe('the newest published'),
  build: Build.optional().describe('of the coordinator that started it'),
  buildChanges: z
    .array(z.object({ step: z.int(), from: Build.optional(), to: Build }))
    .optional()
    .describe(
      'each time that it went on with what another build had computed: its bits may differ from those of an uninterrupted run',
    ),
  archive: z
    .object({
      artifact: ArtifactRef,
      records: z.record(z.string(), z.int()).describe('by topic'),
      whole: z
        .boolean()
        .describe('whether it holds all events: not of a run that went on after it was archived'),
    })
    .optional()
    .describe('where its events are kept, beside the log, some time after it has ended'),
  replicas: z.array(Replica).optional().describe('which version each policy replica samples from'),
  metrics: StepMetrics.optional(),
  waiting: Waiting.optional().describe('what the step under way misses, when it has not moved for a while'),
  links: z.object({ self: z.string(), metrics: z.string(), events: z.string(), cancel: z.string() }),
}).meta({ id: 'Run' });

export type RunSummary = z.output<typeof RunSummary>;
export type Run = z.output<typeof Run>;

type Projections = Pick<RunsContext, 'history' | 'replicas'>;

const iso = (time: number): string => new Date(time).toISOString();

export function summaryOf(state: RunView, { history }: Pick<RunsContext, 'history'>): RunSummary {
  const { run, config, status, requestedAt, endedAt, steps, testItems, cause, paused } = state;
  const policyVersion = history.versions.get(run)?.version;
  return {
    run,
    ...(config && { method: config.method }),
    status,
    requestedAt: iso(requestedAt),
    ...(endedAt !== undefined && { endedAt: iso(endedAt) }),
    steps: {
      done: stepsDone(history.progress.get(run)),
      ...(config && { total: stepsOf(config, testItems, steps) }),
    },
    ...(policyVersion !== undefined && { policyVersion }),
    ...(cause && { cause }),
    ...(paused && { paused }),
  };
}

export function viewOf(state: RunView, projections: Projections): Run {
  const { run, config, artifacts, models, data, build, buildChanges, archive } = state;
  const published = projections.history.versions.get(run);
  const replicas = projections.replicas.state.get(run);
  const metrics = projections.history.progress.get(run)?.at(-1);
  const waiting = waitingOf(state, projections);
  const self = locationOf(run);
  return {
    ...summaryOf(state, projections),
    ...(config && { config }),
    ...(artifacts && { artifacts }),
    ...(models && { models }),
    ...(data && { data }),
    ...(build && { build }),
    ...(buildChanges && { buildChanges: [...buildChanges] }),
    ...(published && {
      policy: { version: published.version, step: published.step, artifact: published.artifact },
    }),
    ...(archive && {
      archive: { artifact: archive.artifact, records: archive.counts, whole: isArchived(state) },
    }),
    ...(replicas && { replicas }),
    ...(metrics && { metrics }),
    ...(waiting && { waiting }),
    links: { self, metrics: `${self}/metrics`, events: `${self}/events`, cancel: `${self}/cancel` },
  };
}

/** What the step under way lacks. What the run said of a step that is done by now no longer holds. */
const waitingOf = ({ run, waiting }: RunView, { history }: Projections): RunView['waiting'] =>
  waiting && waiting.step >= stepsDone(history.progress.get(run)) ? waiting : undefined;

export const locationOf = (run: string): string => `/v1/runs/${run}`;
