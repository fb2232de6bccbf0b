/** What the log already holds of a run's training. */
import type { Events } from '@rlhf-streams/bus';
import { applyVersion, type PublishedVersion, type RunView } from '@rlhf-streams/runs';

export interface Published {
  /** The newest version, if any. */
  readonly policy?: PublishedVersion;
  /** Steps whose completion is recorded: what is done again up to here is not published again. */
  readonly stepsCompleted: number;
}

/** Reads it to the end of the log. To be called by the run's only writer, so that nothing is added meanwhile. */
export async function readPublished(
  events: Events,
  { run, from }: Pick<RunView, 'run' | 'from'>,
  signal: AbortSignal,
): Promise<Published> {
  const versions = new Map<string, PublishedVersion>();
  let stepsCompleted = 0;
  for await (const event of events.readAll(['policy-versions', 'training-metrics'], { from, signal })) {
    if (event.data.run !== run) continue;
    if (event.type === 'policy.published') applyVersion(versions, event);
    else stepsCompleted = Math.max(stepsCompleted, event.data.step + 1);
  }
  const policy = versions.get(run);
  return { stepsCompleted, ...(policy && { policy }) };
}
