/** What people and other programs published on topic `feedback`. */
import type { ReadDependencies } from '@rlhf-streams/archive';
import type { DataFor } from '@rlhf-streams/events';

export type Feedback = DataFor<'feedback.recorded'>;

/** A collection in the order of its ids; the first record of each counts. */
export async function readFeedback(
  { events }: Pick<ReadDependencies, 'events'>,
  collection: string,
): Promise<Feedback[]> {
  const first = new Map<string, Feedback>();
  for await (const { data } of events.readAll(['feedback']))
    if (data.collection === collection && !first.has(data.feedback)) first.set(data.feedback, data);
  return [...first.values()].sort((a, b) => (a.feedback < b.feedback ? -1 : 1));
}
