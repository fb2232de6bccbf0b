import { type Events, type NewEvent, type Projection, RuntimeError } from '@rlhf-streams/bus';
import type { RunView } from '@rlhf-streams/runs';
import { problem } from '@rlhf-streams/service';
import { DeadlineError, withDeadline } from '@rlhf-streams/waiting';

interface Confirmed {
  readonly state: RunView;
  /** false where another request was already publishing the same event, whose outcome this is. */
  readonly published: boolean;
}

/**
 * Publishes an event of a run durably, and resolves to the run as `select` finds it once the projection shows the
 * event's effect, so that a client reads what it wrote. Concurrent requests for an event of the same id publish it once.
 * @throws a problem: 503 RUN_NOT_CONFIRMED when that takes longer than `timeoutMs`, or the service stops.
 */
export type Confirm = (
  event: NewEvent & { readonly data: { readonly run: string } },
  select: (state: RunView) => boolean,
) => Promise<Confirmed>;

export function createConfirm(about: {
  readonly events: Pick<Events, 'publish'>;
  readonly runs: Projection<RunView>;
  readonly timeoutMs: number;
}): Confirm {
  const underWay = new Map<string, Promise<RunView>>();
  return async (event, select) => {
    const same = underWay.get(event.id);
    if (same) return { state: await same, published: false };
    const publishing = publishAndConfirm(about, event, select);
    underWay.set(event.id, publishing);
    try {
      return { state: await publishing, published: true };
    } finally {
      underWay.delete(event.id);
    }
  };
}

async function publishAndConfirm(
  { events, runs, timeoutMs }: Parameters<typeof createConfirm>[0],
  event: Parameters<Confirm>[0],
  select: Parameters<Confirm>[1],
): Promise<RunView> {
  const { run } = event.data;
  const what = `the log to confirm ${event.type} of ${run}`;
  const find = (states: ReadonlyMap<string, RunView>) => {
    const state = states.get(run);
    return state && select(state) ? state : undefined;
  };
  return inTime(what, timeoutMs, async (signal) => {
    await events.publish([event]);
    return runs.waitFor(find, { timeoutMs, what, signal });
  });
}

/**
 * Does what changes runs, and resolves when the log shows it.
 * @throws a problem: 503 RUN_NOT_CONFIRMED when that takes longer than `timeoutMs`, or the service stops.
 */
export async function inTime<T>(
  what: string,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  try {
    return await withDeadline(work, { ms: timeoutMs, late: what });
  } catch (cause) {
    const stopped = cause instanceof RuntimeError && cause.code === 'RUNTIME_STOPPED';
    if (!(cause instanceof DeadlineError || stopped)) throw cause;
    throw problem(
      503,
      'RUN_NOT_CONFIRMED',
      'Not confirmed in time',
      `${cause.message}; it may yet take effect: repeat the request, which is safe`,
      { headers: { 'retry-after': '1' }, cause },
    );
  }
}
