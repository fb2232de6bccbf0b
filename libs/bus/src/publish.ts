import { type EncodedEvent, type EventType, encodeEvent, type NewDataFor } from '@rlhf-streams/events';
import type { EventLog, GroupCommit } from '@rlhf-streams/log';
import type { EventMetrics } from './metrics.js';
import { activeTraceparent } from './tracing.js';

/** An event to publish. Its id is a function of the work it reports, so that work done twice is dropped by id. */
export type NewEvent = {
  [Type in EventType]: {
    readonly type: Type;
    readonly data: NewDataFor<Type>;
    readonly id: string;
    /** Headers of the record, beside those that every event has. */
    readonly headers?: Readonly<Record<string, string>>;
  };
}[EventType];

/** The one writer under its id: see TransactionalProducer of `@rlhf-streams/log`. */
export interface TransactionalEvents {
  /**
   * Publishes all events and commits all offsets, or nothing of either.
   * @throws EventError EVENT_INVALID; LogError LOG_FENCED when another writer took over.
   */
  publish(events: readonly NewEvent[], commits?: readonly GroupCommit[]): Promise<void>;
  close(): Promise<void>;
}

export interface Publisher {
  /**
   * Resolves when all are durable. The trace context of the caller goes with them.
   * @throws EventError EVENT_INVALID, before anything is published.
   */
  publish(events: readonly NewEvent[]): Promise<void>;
  /** Opens a writer and fences earlier ones of the same id. */
  transactional(id: string): Promise<TransactionalEvents>;
}

export function createPublisher(about: {
  readonly log: EventLog;
  /** The service's name. */
  readonly source: string;
  readonly metrics: EventMetrics;
}): Publisher {
  const { log, source, metrics } = about;
  const encode = (events: readonly NewEvent[]): EncodedEvent[] => {
    const traceparent = activeTraceparent();
    return events.map(({ type, data, id, headers }) => {
      const record = encodeEvent(type, data, { id, source, ...(traceparent && { traceparent }) });
      return headers ? { ...record, headers: { ...headers, ...record.headers } } : record;
    });
  };
  const count = (records: readonly EncodedEvent[]) => {
    for (const { topic, headers } of records) metrics.published(topic, headers.ce_type!);
  };
  return {
    publish: async (events) => {
      const records = encode(events);
      await log.publish(records);
      count(records);
    },
    transactional: async (id) => {
      const producer = await log.transactional(id);
      return {
        publish: async (events, commits = []) => {
          const records = encode(events);
          await producer.transact({ records, commits });
          count(records);
        },
        close: () => producer.close(),
      };
    },
  };
}
