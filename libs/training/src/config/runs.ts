/** What the `runs` topic says, run by run. */
import type { ArtifactRef, Cause, ModelRecord, TopicEvent } from '@rlhf-streams/events';
import { parseRunConfig, type RunConfig } from './run-config.js';

export type RunStatus = 'requested' | 'running' | 'paused' | 'completed' | 'failed' | 'cancelled';

export interface RunView {
  readonly run: string;
  /** Partition of the `runs` topic: who owns it owns the run. */
  readonly partition: number;
  readonly status: RunStatus;
  /** Absent when the request held no valid configuration: `cause` says why. */
  readonly config?: RunConfig;
  /** From `run.started` on. */
  readonly artifacts?: Readonly<Record<string, ArtifactRef>>;
  /** What the models and scorers are, by role: from `run.started` on, but not of a replay. */
  readonly models?: Readonly<Record<string, ModelRecord>> | undefined;
  /** Training steps, from `run.started` on. */
  readonly steps?: number;
  readonly testItems: number;
  /** Where the topics are read from: their ends when the run started, or for what it replays when that run did. */
  readonly from: Readonly<Record<string, readonly number[]>>;
  readonly cause?: Cause;
  /** What it waited for when it last said so; forgotten at the next step. */
  readonly waitingFor?: Readonly<Record<string, number>>;
  readonly requestedAt: number;
  readonly endedAt?: number;
}

type RunEvent = TopicEvent<'runs'> & { readonly partition: number; readonly time: number };

export const hasEnded = ({ status }: Pick<RunView, 'status'>): boolean =>
  status === 'completed' || status === 'failed' || status === 'cancelled';

/** What waits for a state of runs: a projection of the `runs` topic. */
interface Runs {
  waitFor(
    select: (state: ReadonlyMap<string, RunView>) => RunView | undefined,
    options: { readonly timeoutMs: number; readonly what: string; readonly signal?: AbortSignal },
  ): Promise<RunView>;
}

/** An item's run is on the log before the item: this is only the time to read it. */
const RUN_TIMEOUT_MS = 10_000;

/** The run of an item that came: started, or ended already. @throws as the projection's `waitFor` does, after 10 s. */
export const startedRun = (runs: Runs, run: string, signal: AbortSignal): Promise<RunView> =>
  runs.waitFor(
    (state) => {
      const view = state.get(run);
      return view && (view.artifacts || hasEnded(view)) ? view : undefined;
    },
    { timeoutMs: RUN_TIMEOUT_MS, what: `run ${run} to be started`, signal },
  );

/** Whether a run that goes on was started with an artifact. */
export function isInUse(runs: ReadonlyMap<string, RunView>, { sha256 }: ArtifactRef): boolean {
  for (const view of runs.values())
    if (!hasEnded(view) && Object.values(view.artifacts ?? {}).some((used) => used.sha256 === sha256))
      return true;
  return false;
}

/** Applies one event: the first request of a run counts, and nothing after its end. */
export function applyRunEvent(runs: Map<string, RunView>, event: RunEvent): void {
  const { run } = event.data;
  const view = runs.get(run);
  const next = view ? evolve(view, event) : begin(event);
  if (next) runs.set(run, next);
}

function begin(event: RunEvent): RunView | undefined {
  if (event.type !== 'run.requested') return undefined;
  const { run, config } = event.data;
  const view = {
    run,
    partition: event.partition,
    status: 'requested',
    testItems: 0,
    from: {},
    requestedAt: event.time,
  } as const;
  try {
    return { ...view, config: parseRunConfig(config) };
  } catch (error) {
    return { ...view, cause: { code: 'TRAINING_CONFIG_INVALID', message: (error as Error).message } };
  }
}

function evolve(view: RunView, event: RunEvent): RunView | undefined {
  if (hasEnded(view)) return undefined;
  const { waitingFor: _, ...rest } = view;
  switch (event.type) {
    case 'run.requested':
      return undefined;
    case 'run.started':
      return {
        ...rest,
        status: 'running',
        artifacts: event.data.artifacts,
        ...(event.data.models && { models: event.data.models }),
        steps: event.data.steps,
        testItems: event.data.testItems,
        from: event.data.from,
      };
    case 'run.waiting':
      return { ...rest, waitingFor: event.data.waitingFor };
    case 'run.paused':
      return { ...rest, status: 'paused' };
    case 'run.resumed':
      return { ...rest, status: 'running' };
    case 'run.completed':
      return { ...rest, status: 'completed', endedAt: event.time };
    case 'run.failed':
      return { ...rest, status: 'failed', cause: event.data.cause, endedAt: event.time };
    case 'run.cancelled':
      return {
        ...rest,
        status: 'cancelled',
        cause: { code: 'RUN_CANCELLED', message: event.data.reason },
        endedAt: event.time,
      };
  }
}
