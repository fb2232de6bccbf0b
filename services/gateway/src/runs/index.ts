/** The resource /v1/runs: one file a route, over projections of the log. */

import type { Events, Projection } from '@rlhf-streams/bus';
import type { EventLog } from '@rlhf-streams/log';
import type { PublishedVersion } from '@rlhf-streams/runs';
import type { OpenStreams, ServiceContext } from '@rlhf-streams/service';
import type { Api } from '../api.js';
import { type Roots, rootsOf } from './admitted.js';
import { addCancelRun } from './cancel.js';
import { type Confirm, createConfirm } from './confirm.js';
import { addCreateRun } from './create.js';
import { addRunEvents } from './events.js';
import { createExtents, type Extents } from './extents.js';
import { createHistory, type History } from './history.js';
import { addListRuns } from './list.js';
import { addRunMetrics } from './metrics.js';
import type { StepMetrics } from './progress.js';
import { applyReplica, type Replica } from './replicas.js';
import { applyRun, type RunState } from './runs.js';
import { addShowRun } from './show.js';

/** What the routes of runs work with. */
export interface RunsContext {
  readonly log: EventLog;
  readonly events: Events;
  readonly streams: OpenStreams;
  readonly runs: Projection<RunState>;
  readonly history: History;
  readonly extents: Extents;
  readonly progress: Pick<Projection<StepMetrics[]>, 'state'>;
  readonly versions: Pick<Projection<PublishedVersion>, 'state'>;
  readonly replicas: Projection<Replica[]>;
  readonly confirm: Confirm;
  /** Where files may lie that a configuration names. */
  readonly roots: Roots;
  /** Milliseconds a request may wait for the log. */
  readonly timeoutMs: number;
  /** Aborted when the service begins to drain. */
  readonly draining: AbortSignal;
}

/** Resolves when the projections have caught up with the log. */
export async function addRuns(
  api: Api,
  { log, events, streams, project, signal }: ServiceContext,
  { timeoutMs, roots }: { readonly timeoutMs: number; readonly roots: string | undefined },
): Promise<void> {
  const runs = project<'runs', RunState>({ topics: ['runs'], apply: applyRun });
  const history = createHistory({ events, project, signal });
  const replicas = project<'policy-replicas', Replica[]>({
    topics: ['policy-replicas'],
    apply: applyReplica,
  });
  const context: RunsContext = {
    log,
    events,
    streams,
    runs,
    history,
    extents: createExtents(events, signal),
    progress: { state: history.progress },
    versions: { state: history.versions },
    replicas,
    confirm: createConfirm({ events, runs, timeoutMs }),
    roots: await rootsOf(roots),
    timeoutMs,
    draining: signal,
  };
  addCreateRun(api, context);
  addListRuns(api, context);
  addShowRun(api, context);
  addRunMetrics(api, context);
  addCancelRun(api, context);
  addRunEvents(api, context);
  await Promise.all([runs, history, replicas].map(({ caughtUp }) => caughtUp));
}
