import { RunId } from '@rlhf-streams/events';
import type { RunView } from '@rlhf-streams/runs';
import { problem } from '@rlhf-streams/service';
import { z } from 'zod';
import type { RunsContext } from './context.js';

/** Parameters of every path below /v1/runs/{run}. */
export const RunPath = z.object({ run: RunId });

/** @throws a problem: 404 RUN_NOT_FOUND. */
export function knownRun(run: string, { runs }: Pick<RunsContext, 'runs'>): RunView {
  const state = runs.state.get(run);
  if (!state)
    throw problem(404, 'RUN_NOT_FOUND', 'No such run', `there is no run ${run}: GET /v1/runs lists them`);
  return state;
}
