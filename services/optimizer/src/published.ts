/** What the log already holds of a run's training. */
import type { DataFor } from '@rlhf-streams/events';
import type { Events } from '@rlhf-streams/runtime';
import type { RunView } from '@rlhf-streams/training/config';

export interface Published {
  /** The newest version, if any. */
  readonly policy?: DataFor<'policy.published'>;
  /** Steps whose completion is recorded: what is done again up to here is not published again. */
  readonly stepsCompleted: number;
}

/** Reads it to the end of the log. To be called by the run's only writer, so that nothing is added meanwhile. */
export async function readPublished(
  events: Events,
  { run, from }: Pick<RunView, 'run' | 'from'>,
  signal: AbortSignal,
): Promise<Published> {
  let policy: DataFor<'policy.published'> | undefined;
  let stepsCompleted = 0;
  for await (const { type, data } of events.readAll(['policy-versions', 'training-metrics'], {
    from,
    signal,
  })) {
    if (data.run !== run) continue;
    if (type === 'policy.published') policy = !policy || data.version >= policy.version ? data : policy;
    else stepsCompleted = Math.max(stepsCompleted, data.step + 1);
  }
  return { stepsCompleted, ...(policy && { policy }) };
}
