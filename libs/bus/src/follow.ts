import type { TopicName } from '@rlhf-streams/events';
import type { EventLog, Positions } from '@rlhf-streams/log';
import { linked } from '@rlhf-streams/waiting';
import type { DeadLetters } from './dead-letters.js';
import type { EventMetrics } from './metrics.js';
import { type Received, receive } from './received.js';

export interface ReadAllOptions {
  /** Where to begin. Default: the earliest record. */
  readonly from?: Positions;
  /** Only events of these partitions. Default all. */
  readonly partitions?: readonly number[];
  readonly maxBatchRecords?: number;
  readonly signal?: AbortSignal;
}

export interface FollowOptions<Name extends TopicName> extends ReadAllOptions {
  readonly topics: readonly Name[];
  /** Ends after the first event of which this is true. Default: goes on until `signal` aborts. */
  readonly until?: (event: Received<Name>) => boolean;
}

export interface FollowDependencies {
  readonly log: EventLog;
  readonly metrics: EventMetrics;
  readonly deadLetters: DeadLetters;
  /** Ends every iteration. */
  readonly closing: AbortSignal;
}

/** Events in the order of their partitions. A record that is no event goes to the dead letters, once, and is left out. */
export async function* readEvents<Name extends TopicName>(
  { log, metrics, deadLetters, closing }: FollowDependencies,
  { topics, signal, until, ...options }: FollowOptions<Name> & { readonly follow: boolean },
): AsyncGenerator<Received<Name>, void> {
  const either = linked(signal, closing);
  try {
    for await (const batch of log.read({ topics, ...options, signal: either.signal })) {
      for (const record of batch.records) {
        if (either.signal.aborted) break;
        let event: Received<Name>;
        try {
          event = receive({ ...record, topic: record.topic as Name });
        } catch (error) {
          await deadLetters.rejectOnce({ record, error, attempts: 1 });
          metrics.consumed(record.topic, 'unknown', 'rejected');
          continue;
        }
        metrics.consumed(event.topic, event.type, 'followed');
        yield event;
        if (until?.(event)) return;
      }
    }
    // A read that was cut short must not pass for the whole of the topics.
    if (!options.follow) either.signal.throwIfAborted();
  } finally {
    either.release();
  }
}
