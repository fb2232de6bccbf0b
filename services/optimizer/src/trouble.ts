/** Why a run gets no events, as far as other services have reported it on the log. */

import type { Events } from '@rlhf-streams/bus';
import { type Cause, type DataFor, runOfLetter } from '@rlhf-streams/events';

/** A sentence that quotes the newest of a run's dead letters, or a policy replica that is behind; undefined where there is neither. */
export async function troubleOf(events: Pick<Events, 'readAll'>, run: string): Promise<string | undefined> {
  let letters = 0;
  let newest: (DataFor<'record.rejected'> & { readonly time: number }) | undefined;
  const behind = new Map<string, Cause>();
  for await (const event of events.readAll(['dead-letters', 'policy-replicas'])) {
    if (event.type === 'record.rejected') {
      if (runOfLetter(event.data) !== run) continue;
      letters++;
      if (!newest || event.time >= newest.time) newest = { ...event.data, time: event.time };
    } else if (event.data.run === run) {
      if (event.type === 'replica.behind') behind.set(event.data.replica, event.data.cause);
      else behind.delete(event.data.replica);
    }
  }
  if (newest)
    return `${letters} of the run's records could not be handled and lie in dead-letters, the newest by ${newest.service}: ${quoted(newest.cause)}`;
  const [replica] = behind;
  return (
    replica && `policy replica ${replica[0]} cannot sample from the newest version: ${quoted(replica[1])}`
  );
}

const quoted = ({ code, message }: Cause): string => `${message} (${code})`;
