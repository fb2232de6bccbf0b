/** What people and other programs published on topic `feedback`, as data of a run. */

import type { Received } from '@rlhf-streams/bus';
import type { DataFor } from '@rlhf-streams/events';
import type { ServiceContext } from '@rlhf-streams/service';
import { CoordinatorError } from '../errors.js';

export type Feedback = DataFor<'feedback.recorded'>;

const NAMED_IN_ERRORS = 10;

/**
 * A collection as it stands now, in the order of its ids: a function of what was published, whatever the order in which
 * it is read. The first record of each id counts.
 * @throws CoordinatorError RUN_DATA_EMPTY when nothing of the collection was published.
 */
export async function readFeedback(
  { events }: Pick<ServiceContext, 'events'>,
  collection: string,
  signal: AbortSignal,
): Promise<Feedback[]> {
  const first = new Map<string, Received<'feedback'>>();
  const others = new Set<string>();
  for await (const event of events.readAll(['feedback'], { signal })) {
    const { data } = event;
    if (data.collection !== collection) {
      others.add(data.collection);
      continue;
    }
    const known = first.get(data.feedback);
    if (!known || isBefore(event, known)) first.set(data.feedback, event);
  }
  if (first.size === 0) throw nothingIn(collection, [...others].toSorted());
  return [...first.values()].map(({ data }) => data).sort((a, b) => compare(a.feedback, b.feedback));
}

/** The order of records: by time, then by partition and offset. */
const isBefore = (a: Received<'feedback'>, b: Received<'feedback'>): boolean =>
  (a.time - b.time || a.partition - b.partition || a.offset - b.offset) < 0;

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

function nothingIn(collection: string, others: readonly string[]): CoordinatorError {
  const there = others.length > NAMED_IN_ERRORS ? [...others.slice(0, NAMED_IN_ERRORS), '...'] : others;
  return new CoordinatorError(
    'RUN_DATA_EMPTY',
    `expected feedback of collection ${collection} on topic feedback, got none; there is feedback of ${there.join(', ') || 'no other'}`,
  );
}
