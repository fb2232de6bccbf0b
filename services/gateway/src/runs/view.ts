/** Runs as clients see them. */
import {
  ArtifactRef,
  Build,
  Cause,
  DataAccount,
  DataAccounts,
  ModelRecord,
  type ModelRef,
  Tags,
} from '@rlhf-streams/events';
import {
  bestModel,
  hasEnded,
  isArchived,
  methodNames,
  RunConfig as RunConfigSchema,
  type RunView,
  runStatuses,
  runsBuiltOn,
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
    experiment: z.string().optional().describe('the runs that it was requested with'),
    tags: Tags.optional(),
    waitsFor: z
      .array(z.string())
      .optional()
      .describe('runs that it builds on and that have not ended: it starts when all have completed'),
    requestedAt: z.iso.datetime(),
    endedAt: z.iso.datetime().optional(),
    steps: z.object({
      done: z.int(),
      total: z
        .int()
        .optional()
        .describe('of an earlier build, one more than it trains where held-out items are evaluated'),
    }),
    policyVersion: z.int().optional().describe('the newest published'),
    reason: z.string().optional().describe('why it completed before its last step'),
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

const ShownModel = z.object({
  artifact: ArtifactRef.describe('the whole model, or what its adapter was trained on'),
  adapter: ArtifactRef.optional(),
});

export const Run = RunSummary.extend({
  config: RunConfig.optional(),
  artifacts: z
    .record(z.string(), ArtifactRef)
    .optional()
    .describe('models, scorers and datasets by role; of a model with an adapter its base'),
  models: z
    .record(z.string(), ModelRecord.extend(ShownModel.shape))
    .optional()
    .describe('what models and scorers are, by role'),
  declared: z
    .record(z.string(), z.object({ name: z.string(), sha256: z.string().describe('of its declaration') }))
    .optional()
    .describe('its scorers that the operator declared, by role'),
  data: DataAccount.optional().describe('what became of the rows of its data, once it has started'),
  datasets: DataAccounts.optional().describe('the same of its further datasets, by name'),
  policy: z
    .object({ version: z.int(), step: z.int().describe('steps done'), ...ShownModel.shape })
    .optional()
    .describe('the newest published'),
  best: z
    .object({
      version: z.int(),
      step: z.int().describe('steps done'),
      value: z.number().describe('of the metric that keepBest names'),
      ...ShownModel.shape,
    })
    .optional()
    .describe('the best published, which other runs and export take, of a run with keepBest'),
  extents: z
    .array(z.object({ from: z.int(), steps: z.int() }))
    .optional()
    .describe('of a run that was extended: how many steps it was to have, from which step on'),
  build: Build.optional().describe('of the coordinator that started it'),
  buildChanges: z
    .array(z.object({ step: z.int(), from: Build.optional(), to: Build }))
    .optional()
    .describe(
      'each time that it went on with what another build had computed: its bits may differ from those of an uninterrupted run',
    ),
  warnings: z
    .array(
      z.object({
        step: z.int(),
        metric: z.string(),
        direction: z.enum(['above', 'below']),
        value: z.number(),
        threshold: z.number(),
        message: z.string().describe('what it means, and what to do'),
      }),
    )
    .optional()
    .describe('of each metric that passed its threshold the last time that it did; the run goes on'),
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
  links: z.object({
    self: z.string(),
    metrics: z.string(),
    events: z.string(),
    cancel: z.string(),
    extend: z.string(),
  }),
}).meta({ id: 'Run' });

export type RunSummary = z.output<typeof RunSummary>;
export type Run = z.output<typeof Run>;

type Projections = Pick<RunsContext, 'runs' | 'history' | 'replicas'>;

const iso = (time: number): string => new Date(time).toISOString();

export function summaryOf(
  state: RunView,
  { runs, history }: Pick<RunsContext, 'runs' | 'history'>,
): RunSummary {
  const { run, config, status, experiment, tags, requestedAt, endedAt, cause, paused } = state;
  const total = stepsOf(state);
  const policyVersion = history.versions.get(run)?.version;
  const waitsFor = waitedFor(state, runs.state);
  return {
    run,
    ...(config && { method: config.method }),
    status,
    ...(experiment !== undefined && { experiment }),
    ...(tags && { tags }),
    ...(waitsFor.length > 0 && { waitsFor }),
    requestedAt: iso(requestedAt),
    ...(endedAt !== undefined && { endedAt: iso(endedAt) }),
    steps: {
      done: stepsDone(history.progress.get(run)),
      ...(total !== undefined && { total }),
    },
    ...(policyVersion !== undefined && { policyVersion }),
    ...(state.reason !== undefined && { reason: state.reason }),
    ...(cause && { cause }),
    ...(paused && { paused }),
  };
}

function waitedFor(state: RunView, runs: ReadonlyMap<string, RunView>): string[] {
  if (!state.config || state.artifacts || hasEnded(state)) return [];
  return runsBuiltOn(state.config).filter((run) => {
    const source = runs.get(run);
    return source && !hasEnded(source);
  });
}

export function viewOf(state: RunView, projections: Projections): Run {
  const { run, config, artifacts, models, described, data, datasets, build, buildChanges, archive } = state;
  const uses = models && { ...mapValues(models, (model) => model.base), ...artifacts };
  const published = projections.history.versions.get(run);
  const replicas = projections.replicas.state.get(run);
  const metrics = projections.history.progress.get(run)?.at(-1);
  const waiting = waitingOf(state, projections);
  const best = bestModel(state, stepsIn(projections.history, run));
  const self = locationOf(run);
  return {
    ...summaryOf(state, projections),
    ...(config && { config }),
    ...(uses && { artifacts: uses }),
    ...(uses &&
      described && {
        models: mapValues(described, (record, role) => ({
          ...record,
          ...shown(models![role] ?? { base: uses[role]! }),
        })),
      }),
    ...(state.declared && { declared: { ...state.declared } }),
    ...(data && { data }),
    ...(datasets && { datasets }),
    ...(build && { build }),
    ...(buildChanges && { buildChanges: [...buildChanges] }),
    ...(state.warnings && { warnings: [...state.warnings] }),
    ...(published && {
      policy: { version: published.version, step: published.step, ...shown(published.model) },
    }),
    ...(best && {
      best: { version: best.version, step: best.step, value: best.value, ...shown(best.model) },
    }),
    ...(state.extents && { extents: [...state.extents] }),
    ...(archive && {
      archive: { artifact: archive.artifact, records: archive.counts, whole: isArchived(state) },
    }),
    ...(replicas && { replicas }),
    ...(metrics && { metrics }),
    ...(waiting && { waiting }),
    links: {
      self,
      metrics: `${self}/metrics`,
      events: `${self}/events`,
      cancel: `${self}/cancel`,
      extend: `${self}/extend`,
    },
  };
}

function* stepsIn({ eventsOf }: RunsContext['history'], run: string) {
  for (const event of eventsOf(run)) if (event.type === 'step.completed') yield event.data;
}

const shown = ({ base, adapter }: ModelRef) => ({ artifact: base, ...(adapter && { adapter }) });

const mapValues = <From, To>(
  record: Readonly<Record<string, From>>,
  to: (value: From, key: string) => To,
): Record<string, To> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, to(value, key)]));

/** What the step under way lacks. What the run said of a step that is done by now no longer holds. */
const waitingOf = ({ run, waiting }: RunView, { history }: Projections): RunView['waiting'] =>
  waiting && waiting.step >= stepsDone(history.progress.get(run)) ? waiting : undefined;

export const locationOf = (run: string): string => `/v1/runs/${run}`;
