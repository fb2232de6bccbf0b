import type { DataFor } from '@rlhf-streams/events';
import type { Received } from '@rlhf-streams/runtime';
import { applyRunEvent, type RunView } from '@rlhf-streams/training/config';

/** What the topic `runs` says of a run. */
export interface RunState extends RunView {
  /** The newest word of what it waits for: stale without `waitingFor`, and once the step it names is done. */
  readonly waiting?: DataFor<'run.waiting'>;
}

export function applyRun(runs: Map<string, RunState>, event: Received<'runs'>): void {
  applyRunEvent(runs, event);
  const state = runs.get(event.data.run);
  if (event.type === 'run.waiting' && state?.waitingFor)
    runs.set(state.run, { ...state, waiting: event.data });
}
