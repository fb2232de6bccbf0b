/** What is already published of a run's training. */
import type { Events } from '@rlhf-streams/bus';
import type { DataFor } from '@rlhf-streams/events';
import { applyVersion, type PublishedVersion, type RunView } from '@rlhf-streams/runs';

export interface Published {
  /** The newest version, if any. */
  readonly policy?: PublishedVersion;
  /** Steps whose completion is on the log: they may be computed again after a crash, but are not published again. */
  readonly stepsCompleted: number;
  /** The last of them. */
  readonly last?: DataFor<'step.completed'>;
}

/** Reads to the end of the log. The caller must be the run's only writer, so that nothing is added meanwhile. */
export async function readPublished(
  events: Events,
  { run, from }: Pick<RunView, 'run' | 'from'>,
  signal: AbortSignal,
): Promise<Published> {
  const versions = new Map<string, PublishedVersion>();
  let last: DataFor<'step.completed'> | undefined;
  for await (const event of events.readAll(['policy-versions', 'training-metrics'], { from, signal })) {
    if (event.data.run !== run) continue;
    if (event.type === 'policy.published') applyVersion(versions, event);
    else if (!last || event.data.step > last.step) last = event.data;
  }
  const policy = versions.get(run);
  return { stepsCompleted: last ? last.step + 1 : 0, ...(last && { last }), ...(policy && { policy }) };
}
