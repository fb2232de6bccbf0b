/** Why records of a run could not be handled, as topic `dead-letters` tells. */
import type { DataFor } from '@rlhf-streams/events';
import type { Events } from '@rlhf-streams/runtime';

/** The newest of a run's dead letters, and how many there are. */
export interface DeadLetter extends Pick<DataFor<'record.rejected'>, 'service' | 'cause'> {
  readonly count: number;
}

export async function newestDeadLetter(
  events: Pick<Events, 'readAll'>,
  run: string,
): Promise<DeadLetter | undefined> {
  let newest: (Pick<DataFor<'record.rejected'>, 'service' | 'cause'> & { readonly time: number }) | undefined;
  let count = 0;
  for await (const { data, time } of events.readAll(['dead-letters'])) {
    if (runOf(data) !== run) continue;
    count++;
    if (!newest || time >= newest.time) newest = { service: data.service, cause: data.cause, time };
  }
  return newest && { service: newest.service, cause: newest.cause, count };
}

/** The run that a rejected record names, if it is JSON that names one. */
function runOf({ value }: DataFor<'record.rejected'>): unknown {
  try {
    return (JSON.parse(Buffer.from(value, 'base64').toString('utf8')) as { run?: unknown } | null)?.run;
  } catch {
    return undefined;
  }
}
