/** The state of runs: the one projection of topic `runs`, which every service and the command share. */
import {
  type ArtifactRef,
  artifactsOf,
  type Build,
  type Cause,
  type DataAccount,
  type DataAccounts,
  type DataFor,
  type ModelRecord,
  type ModelRef,
  type RunStream,
  type Tags,
  type TopicEvent,
} from '@rlhf-streams/events';
import { earlierSteps } from './earlier-steps.js';
import { methods } from './methods/index.js';
import type { MethodSpec } from './methods/spec.js';
import { parseRunConfig, type RunConfig } from './run-config.js';
import { sameRun } from './same-run.js';

export const runStatuses = ['requested', 'running', 'paused', 'completed', 'failed', 'cancelled'] as const;
type RunStatus = (typeof runStatuses)[number];

export interface RunView {
  readonly run: string;
  /** Partition of the `runs` topic: who owns it owns the run. */
  readonly partition: number;
  /**
   * Offset, in that partition, of the request that made the run: earlier events of its name are of a run that never
   * started.
   */
  readonly requestOffset: number;
  readonly status: RunStatus;
  /** The set of runs that it was asked for with. */
  readonly experiment?: string;
  /** Where it stands among the runs of its experiment. */
  readonly order?: number;
  readonly tags?: Tags;
  /** Absent when the request held no valid configuration: `cause` says why. */
  readonly config?: RunConfig;
  /** The configuration as it was requested, of a run that an earlier build started without settings that there are now. */
  readonly requested?: RunConfig;
  /** The models that the run uses, by role: from `run.started` on. */
  readonly models?: Readonly<Record<string, ModelRef>>;
  /** What it uses besides, by role: its items, and gold rewards. */
  readonly artifacts?: Readonly<Record<string, ArtifactRef>>;
  /** What the models and gold rewards are, by role: from `run.started` on, but not of a replay. */
  readonly described?: Readonly<Record<string, ModelRecord>> | undefined;
  /** The scorers that the operator declared, by role, as they were when the run started. */
  readonly declared?: NonNullable<DataFor<'run.started'>['declared']>;
  /** Training steps, from `run.started` on. */
  readonly steps?: number;
  /** Why a completed run ended before its last step. */
  readonly reason?: string | undefined;
  /** Training steps that a completed run has done. */
  readonly done?: number;
  /** The lengths that an extended run had, in training steps, each with the step from which on it held. */
  readonly extents?: readonly { readonly from: number; readonly steps: number }[];
  /** What its steps draw from, from `run.started` on; absent of a run that an earlier build started. */
  readonly streams?: readonly RunStream[];
  /** Held-out items that are evaluated. */
  readonly testItems: number;
  /** What became of the rows of its data, from `run.started` on. */
  readonly data?: DataAccount;
  /** The same of its further datasets, by name. */
  readonly datasets?: DataAccounts;
  /**
   * Positions from which the topics are read: their ends when the run started, or when the run started that it
   * replays.
   */
  readonly from: Readonly<Record<string, readonly number[]>>;
  /** The build of the coordinator that started it. */
  readonly build?: Build;
  /** Each time that it went on with what another build had computed. */
  readonly buildChanges?: readonly BuildChange[];
  /** The last warning of each metric that passed its threshold, in the order of the first. */
  readonly warnings?: readonly RunWarning[];
  readonly cause?: Cause;
  /** What the run waits for outside of itself, by the service that met it: it is paused while there is any. */
  readonly paused?: Readonly<Record<string, Cause>>;
  /** What a step lacked at the last `run.waiting`. Other topics show whether that step has been completed since. */
  readonly waiting?: Pick<DataFor<'run.waiting'>, 'step' | 'waitingFor' | 'sinceMs' | 'deadlineMs'>;
  readonly requestedAt: number;
  readonly endedAt?: number;
  /** Where topic `runs` has the event that ended it. */
  readonly end?: { readonly partition: number; readonly offset: number };
  /** Where its events are kept beside the log, once it has ended: of a run that goes on, those of its last end. */
  readonly archive?: RunArchive;
}

/** The archive of a run, as `run.archived` announced it. */
export interface RunArchive extends Omit<DataFor<'run.archived'>, 'run' | 'archive'> {
  readonly artifact: ArtifactRef;
  /** Milliseconds since the epoch at which it was announced. */
  readonly time: number;
}

type RunWarning = Omit<DataFor<'run.warning'>, 'run'>;

type BuildChange = Omit<DataFor<'run.build-changed'>, 'run'>;

/** An event of topic `runs`, and where the log has it. */
export type RunEvent = TopicEvent<'runs'> & {
  readonly partition: number;
  readonly offset: number;
  readonly time: number;
};

export const hasEnded = ({ status }: Pick<RunView, 'status'>): boolean =>
  status === 'completed' || status === 'failed' || status === 'cancelled';

/** Whether the archive of a run that has ended holds its end, and with it all its events. */
export const isArchived = (view: Pick<RunView, 'status' | 'end' | 'archive'>): boolean =>
  hasEnded(view) &&
  view.archive !== undefined &&
  view.end !== undefined &&
  (view.archive.until.runs?.[view.end.partition] ?? 0) > view.end.offset;

/** The number of steps of a run; undefined as long as nobody has counted its items. */
export const stepsOf = ({
  config,
  steps = config?.steps,
  streams,
  testItems,
}: Pick<RunView, 'config' | 'steps' | 'streams' | 'testItems'>): number | undefined =>
  streams || steps === undefined ? steps : earlierSteps(steps, testItems);

/** Whether a run ended before it was started: it was refused, or cancelled in time. It may be requested again. */
export const neverStarted = (view: Pick<RunView, 'status' | 'artifacts'>): boolean =>
  hasEnded(view) && view.artifacts === undefined;

/** The part of a projection of topic `runs` that waits for a state. */
interface Runs {
  waitFor(
    select: (state: ReadonlyMap<string, RunView>) => RunView | undefined,
    options: { readonly timeoutMs: number; readonly what: string; readonly signal?: AbortSignal },
  ): Promise<RunView>;
}

/** The log has an item's run before the item: this is time enough to read it. */
const RUN_TIMEOUT_MS = 10_000;

/** The part of a log's events that knows more than the projection may yet. */
interface RunEvents {
  readAll(topics: readonly ['runs'], options: { readonly signal: AbortSignal }): AsyncIterable<RunEvent>;
}

/**
 * The run of an item that was read, once it has started or ended.
 * @throws as the projection's `waitFor` does, after 10 s.
 */
export async function startedRun(
  { runs, events }: { readonly runs: Runs; readonly events: RunEvents },
  { run, step }: { readonly run: string; readonly step: number },
  signal: AbortSignal,
): Promise<RunView> {
  const view = await runs.waitFor(
    (state) => {
      const view = state.get(run);
      return view && (view.models || hasEnded(view)) ? view : undefined;
    },
    { timeoutMs: RUN_TIMEOUT_MS, what: `run ${run} to be started`, signal },
  );
  // The log has an extension before the items that it adds, but the projection may not have come so far.
  const isBeyond = view.status === 'completed' && step >= view.done!;
  if (!isBeyond) return view;
  return (await readRuns(events.readAll(['runs'], { signal }), run)).get(run)!;
}

/** All artifacts that a run was started with. */
export const artifactsUsed = ({ models = {}, artifacts = {} }: Pick<RunView, 'models' | 'artifacts'>) => [
  ...Object.values(models).flatMap(artifactsOf),
  ...Object.values(artifacts),
];

/** Whether a run that has not ended was started with a model, or a gold reward in its place. */
export function isInUse(runs: ReadonlyMap<string, RunView>, model: ModelRef): boolean {
  const wanted = artifactsOf(model);
  for (const view of runs.values()) {
    if (hasEnded(view)) continue;
    const used = new Set(artifactsUsed(view).map(({ sha256 }) => sha256));
    if (wanted.every(({ sha256 }) => used.has(sha256))) return true;
  }
  return false;
}

/**
 * Applies one event. Only the first request of a run counts, and nothing after its end but its archive; and a run that
 * ended before it was started begins anew with its next request.
 */
export function applyRunEvent(runs: Map<string, RunView>, event: RunEvent): void {
  const { run } = event.data;
  const view = runs.get(run);
  const next = view ? evolve(view, event) : begin(event);
  if (next) runs.set(run, next);
}

/** The runs of a log, from the events of topic `runs`, or of one run from those of its name. */
export async function readRuns(
  events: AsyncIterable<RunEvent>,
  run?: string,
): Promise<ReadonlyMap<string, RunView>> {
  const runs = new Map<string, RunView>();
  for await (const event of events)
    if (run === undefined || event.data.run === run) applyRunEvent(runs, event);
  return runs;
}

function begin(event: RunEvent): RunView | undefined {
  if (event.type !== 'run.requested') return undefined;
  const { run, config } = event.data;
  const view = {
    run,
    partition: event.partition,
    requestOffset: event.offset,
    status: 'requested',
    testItems: 0,
    from: {},
    requestedAt: event.time,
    ...membership(event),
  } as const;
  try {
    return { ...view, config: parseRunConfig(config) };
  } catch (error) {
    return { ...view, cause: { code: 'TRAINING_CONFIG_INVALID', message: (error as Error).message } };
  }
}

type Request = RunEvent & { readonly type: 'run.requested' };

const membership = ({
  data: { experiment, order, tags },
}: Request): Pick<RunView, 'experiment' | 'order' | 'tags'> => ({
  ...(experiment !== undefined && { experiment }),
  ...(order !== undefined && { order }),
  ...(tags && { tags }),
});

/** A run that was asked for alone joins the first experiment that asks for the same. */
function joining(view: RunView, event: Request): RunView | undefined {
  if (view.experiment !== undefined || event.data.experiment === undefined) return undefined;
  const config = begin(event)?.config;
  const asked = requestedConfig(view);
  return config && asked && sameRun(asked, config) ? { ...view, ...membership(event) } : undefined;
}

function evolve(view: RunView, event: RunEvent): RunView | undefined {
  if (event.type === 'run.extended') return extended(view, event.data.steps);
  if (neverStarted(view)) return begin(event);
  if (event.type === 'run.requested') return joining(view, event);
  if (event.type === 'run.archived') {
    const { run: _, archive: artifact, ...rest } = event.data;
    return { ...view, archive: { artifact, ...rest, time: event.time } };
  }
  if (hasEnded(view)) return undefined;
  const { waiting: _, ...rest } = view;
  switch (event.type) {
    case 'run.started': {
      const { paused: _, ...unpaused } = rest;
      return {
        ...unpaused,
        ...asStarted(unpaused, event.data.config),
        status: 'running',
        models: event.data.models,
        artifacts: event.data.artifacts,
        ...(event.data.described && { described: event.data.described }),
        ...(event.data.declared && { declared: event.data.declared }),
        steps: event.data.steps,
        ...(event.data.streams && { streams: event.data.streams }),
        testItems: event.data.testItems,
        from: event.data.from,
        ...(event.data.data && { data: event.data.data }),
        ...(event.data.datasets && { datasets: event.data.datasets }),
        ...(event.data.build && { build: event.data.build }),
      };
    }
    case 'run.waiting': {
      const { run: _, ...waiting } = event.data;
      return { ...rest, waiting };
    }
    case 'run.warning': {
      const { run: _, ...warning } = event.data;
      return { ...rest, warnings: withWarning(rest.warnings ?? [], warning) };
    }
    case 'run.paused': {
      const { by = '', cause = NO_CAUSE } = event.data;
      return withPauses(rest, { ...rest.paused, [by]: cause });
    }
    case 'run.resumed': {
      const { by } = event.data;
      const { [by ?? '']: _, ...others } = rest.paused ?? {};
      return withPauses(rest, by === undefined ? {} : others);
    }
    case 'run.build-changed': {
      const { run: _, ...change } = event.data;
      return { ...rest, buildChanges: [...(rest.buildChanges ?? []), change] };
    }
    case 'run.completed':
      return {
        ...ended(rest, event, { status: 'completed' }),
        done: event.data.steps,
        ...(event.data.reason !== undefined && { reason: event.data.reason }),
      };
    case 'run.failed':
      return ended(rest, event, { status: 'failed', cause: event.data.cause });
    case 'run.cancelled':
      return ended(rest, event, {
        status: 'cancelled',
        cause: { code: 'RUN_CANCELLED', message: event.data.reason },
      });
  }
}

/** A warning takes the place of an earlier one of the same rule. */
function withWarning(warnings: readonly RunWarning[], warning: RunWarning): readonly RunWarning[] {
  const place = warnings.findIndex(
    ({ metric, direction }) => metric === warning.metric && direction === warning.direction,
  );
  return place < 0 ? [...warnings, warning] : warnings.with(place, warning);
}

/** What a request must ask for to be for this run. */
export const requestedConfig = ({
  config,
  requested = config,
}: Pick<RunView, 'config' | 'requested'>): RunConfig | undefined => requested;

/** The configuration of a run whose build may not have known every setting: then it did what its spec says of such builds. */
function asStarted(
  { config }: Pick<RunView, 'config'>,
  started: Readonly<Record<string, unknown>>,
): Pick<RunView, 'config' | 'requested'> {
  const { earlier = {} } = config ? (methods[config.method] as MethodSpec) : {};
  const lacking = Object.entries(earlier).flatMap(([key, settings]) => {
    const known = started[key] as Readonly<Record<string, unknown>> | undefined;
    const unknown = Object.entries(settings).filter(([name]) => known?.[name] === undefined);
    return unknown.length > 0 ? [[key, Object.fromEntries(unknown)] as const] : [];
  });
  if (lacking.length === 0) return {};
  const has = config as unknown as Readonly<Record<string, object>>;
  const changed = lacking.map(([key, settings]) => [key, { ...has[key], ...settings }] as const);
  return { config: { ...config, ...Object.fromEntries(changed) } as RunConfig, requested: config };
}

/** A completed run goes on, if it is to have more steps than it has done. */
function extended(view: RunView, steps: number): RunView | undefined {
  const { done, endedAt: _, end: __, reason: ___, ...rest } = view;
  if (view.status !== 'completed' || done === undefined || steps <= done) return undefined;
  const before = view.extents ?? [{ from: 0, steps: view.steps! }];
  return { ...rest, status: 'running', steps, extents: [...before, { from: done, steps }] };
}

/** How many training steps a run was to have when it did a step, which its learning rate followed. */
export const stepsAt = ({ steps, extents = [] }: Pick<RunView, 'steps' | 'extents'>, step: number): number =>
  extents.findLast(({ from }) => from <= step)?.steps ?? steps!;

const NO_CAUSE: Cause = { code: 'RUN_PAUSED', message: 'somebody paused it' };

function withPauses(view: RunView, paused: NonNullable<RunView['paused']>): RunView {
  const { paused: _, ...rest } = view;
  if (Object.keys(paused).length > 0) return { ...rest, status: 'paused', paused };
  return { ...rest, status: rest.models ? 'running' : 'requested' };
}

function ended(view: RunView, event: RunEvent, end: Pick<RunView, 'status' | 'cause'>): RunView {
  const { paused: _, ...rest } = view;
  const { time, partition, offset } = event;
  return { ...rest, ...end, endedAt: time, end: { partition, offset } };
}
