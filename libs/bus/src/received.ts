import { decodeEvent, EventError, type TopicEvent, type TopicName } from '@rlhf-streams/events';
import type { LogRecord, Positions } from '@rlhf-streams/log';

/** An event as it came from the log: a union discriminated by `topic` and `type`. */
export type Received<Name extends TopicName = TopicName> = Name extends TopicName
  ? TopicEvent<Name> & Place<Name>
  : never;

interface Place<Name extends TopicName> {
  /** The event's identity: the same work done twice has the same id. */
  readonly id: string;
  readonly topic: Name;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since the epoch at which the log accepted it. */
  readonly time: number;
  readonly key: string;
}

/** @throws EventError when the record is not an event of its topic. */
export function receive<Name extends TopicName>(
  record: LogRecord & { readonly topic: Name },
): Received<Name> {
  const { topic, partition, offset, timestamp, key, headers } = record;
  const event = decodeEvent(topic, record);
  if (!headers.ce_id)
    throw new EventError(
      'EVENT_INVALID',
      `expected header ce_id to hold the id of a ${event.type} event, got none`,
    );
  return { ...event, id: headers.ce_id, topic, partition, offset, time: timestamp, key } as Received<Name>;
}

/** The positions after `event`: `positions`, with the offset that follows it in its partition. */
export function advance(positions: Positions, { topic, partition, offset }: Received): Positions {
  const before = positions[topic] ?? [];
  const length = Math.max(before.length, partition + 1);
  const after = Array.from({ length }, (_, index) =>
    index === partition ? offset + 1 : (before[index] ?? 0),
  );
  return { ...positions, [topic]: after };
}
