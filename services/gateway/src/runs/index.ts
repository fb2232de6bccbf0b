/** The resource /v1/runs: one file a route, over three projections of the log. */
import type { EventLog } from '@rlhf-streams/log';
import type { Events, OpenStreams, Projection, ServiceContext } from '@rlhf-streams/runtime';
import type { Api } from '../api.js';
import { addCancelRun } from './cancel.js';
import { addCreateRun } from './create.js';
import { addRunEvents } from './events.js';
import { addListRuns } from './list.js';
import { addRunMetrics } from './metrics.js';
import { applyStep, type StepMetrics } from './progress.js';
import { applyRun, type RunState } from './runs.js';
import { addShowRun } from './show.js';
import { applyVersion, type Published } from './versions.js';

/** What the routes of runs work with. */
export interface RunsContext {
  readonly log: EventLog;
  readonly events: Events;
  readonly streams: OpenStreams;
  readonly runs: Projection<RunState>;
  readonly progress: Projection<StepMetrics[]>;
  readonly versions: Projection<Published>;
  /** Milliseconds a request may wait for the log. */
  readonly timeoutMs: number;
  /** Aborted when the service begins to drain. */
  readonly draining: AbortSignal;
}

/** Resolves when the projections have caught up with the log. */
export async function addRuns(
  api: Api,
  { log, events, streams, project, signal }: ServiceContext,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<void> {
  const runs = project<'runs', RunState>({ topics: ['runs'], apply: applyRun });
  const progress = project<'training-metrics', StepMetrics[]>({
    topics: ['training-metrics'],
    apply: applyStep,
  });
  const versions = project<'policy-versions', Published>({
    topics: ['policy-versions'],
    apply: applyVersion,
  });
  const context: RunsContext = {
    log,
    events,
    streams,
    runs,
    progress,
    versions,
    timeoutMs,
    draining: signal,
  };
  addCreateRun(api, context);
  addListRuns(api, context);
  addShowRun(api, context);
  addRunMetrics(api, context);
  addCancelRun(api, context);
  addRunEvents(api, context);
  await Promise.all([runs.caughtUp, progress.caughtUp, versions.caughtUp]);
}
