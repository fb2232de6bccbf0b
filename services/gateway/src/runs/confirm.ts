import { type NewEvent, problem, RuntimeError, withDeadline } from '@rlhf-streams/runtime';
import type { RunsContext } from './index.js';
import type { RunState } from './runs.js';

/**
 * Publishes an event of a run durably, and resolves to the run as `select` finds it once the projection shows the
 * event's effect, so that whoever was answered reads what they wrote.
 * @throws a problem: 503 RUN_NOT_CONFIRMED when that takes longer than `timeoutMs`, or the service stops.
 */
export async function publishAndConfirm(
  { events, runs, timeoutMs }: Pick<RunsContext, 'events' | 'runs' | 'timeoutMs'>,
  event: NewEvent & { readonly data: { readonly run: string } },
  select: (state: RunState) => boolean,
): Promise<RunState> {
  const { run } = event.data;
  const what = `the log to confirm ${event.type} of ${run}`;
  const find = (states: ReadonlyMap<string, RunState>) => {
    const state = states.get(run);
    return state && select(state) ? state : undefined;
  };
  try {
    return await withDeadline(
      async (signal) => {
        await events.publish([event]);
        return runs.waitFor(find, { timeoutMs, what, signal });
      },
      timeoutMs,
      what,
    );
  } catch (cause) {
    if (!(cause instanceof RuntimeError)) throw cause;
    if (cause.code !== 'RUNTIME_DEADLINE' && cause.code !== 'RUNTIME_STOPPED') throw cause;
    throw problem(
      503,
      'RUN_NOT_CONFIRMED',
      'Not confirmed in time',
      `${cause.message}; it may yet take effect: repeat the request, which is safe`,
      { headers: { 'retry-after': '1' }, cause },
    );
  }
}
