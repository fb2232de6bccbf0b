/** The resource /v1/runs: one file a route, over projections of the log. */
import { applyRunEvent, type RunView } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import type { Api } from '../api.js';
import { rootsOf } from './admitted.js';
import { addCancelRun } from './cancel.js';
import { createConfirm } from './confirm.js';
import type { RunsContext } from './context.js';
import { addCreateRun } from './create.js';
import { addRunEvents } from './events.js';
import { addExtendRun } from './extend.js';
import { createExtents } from './extents.js';
import { createHistory } from './history.js';
import { addListRuns } from './list.js';
import { addRunMetrics } from './metrics.js';
import { applyReplica, type Replica } from './replicas.js';
import { addShowRun } from './show.js';

/** Resolves, with what the routes of runs work with, when the projections have caught up with the log. */
export async function addRuns(
  api: Api,
  { log, events, artifacts, streams, project, signal }: ServiceContext,
  { timeoutMs, roots }: { readonly timeoutMs: number; readonly roots: string | undefined },
): Promise<RunsContext> {
  const runs = project<'runs', RunView>({ topics: ['runs'], apply: applyRunEvent });
  const history = createHistory({ events, project, signal });
  const replicas = project<'policy-replicas', Replica[]>({
    topics: ['policy-replicas'],
    apply: applyReplica,
  });
  const context: RunsContext = {
    log,
    events,
    artifacts,
    streams,
    runs,
    newestRuns: runs.newest,
    history,
    extents: createExtents(events, signal),
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
  addExtendRun(api, context);
  addRunEvents(api, context);
  await Promise.all([runs, history, replicas].map(({ caughtUp }) => caughtUp));
  return context;
}
