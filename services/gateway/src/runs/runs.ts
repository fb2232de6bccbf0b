import type { Received } from '@rlhf-streams/bus';
import type { DataFor } from '@rlhf-streams/events';
import { applyRunEvent, type RunView } from '@rlhf-streams/runs';

/** What the topic `runs` says of a run. */
export interface RunState extends RunView {
  /** Where the request that made it is, in `partition`. */
  readonly requestOffset: number;
  /** The newest word of what it waits for: stale without `waitingFor`, and once the step it names is done. */
  readonly waiting?: DataFor<'run.waiting'>;
}

export function applyRun(runs: Map<string, RunState>, event: Received<'runs'>): void {
  const { run } = event.data;
  applyRunEvent(runs as Map<string, RunView>, event);
  const view: (RunView & Partial<RunState>) | undefined = runs.get(run);
  if (!view) return;
  const state = { ...view, requestOffset: view.requestOffset ?? event.offset };
  runs.set(run, state);
  if (event.type === 'run.waiting' && state.waitingFor) runs.set(run, { ...state, waiting: event.data });
}
