import { createNoopMeter, type Meter, type Tracer, trace } from '@opentelemetry/api';
import { type EncodedEvent, encodeEvent, type TopicName } from '@rlhf-streams/events';
import type { EventLog, GroupCommit } from '@rlhf-streams/log';
import { type ConsumeOptions, type Consumer, consumeEvents } from './consume.js';
import { createDeadLetters } from './dead-letters.js';
import { RuntimeError } from './errors.js';
import { type FollowOptions, type ReadAllOptions, readEvents } from './follow.js';
import { type Logger, silentLogger } from './logger.js';
import { createEventMetrics } from './metrics.js';
import type { NewEvent } from './new-event.js';
import type { Received } from './received.js';
import { activeTraceparent } from './tracing.js';
import type { Waits } from './waits.js';

/** The one writer under its id: see TransactionalProducer of `@rlhf-streams/log`. */
export interface TransactionalEvents {
  /**
   * Publishes all events and commits all offsets, or nothing of either.
   * @throws EventError EVENT_INVALID; LogError LOG_FENCED when another writer took over.
   */
  publish(events: readonly NewEvent[], commits?: readonly GroupCommit[]): Promise<void>;
  close(): Promise<void>;
}

/** Typed events over a log. */
export interface Events {
  /**
   * Resolves when all are durable. The trace context of the caller goes with them.
   * @throws EventError EVENT_INVALID, before anything is published.
   */
  publish(events: readonly NewEvent[]): Promise<void>;
  /** Opens a writer and fences earlier ones of the same id. */
  transactional(id: string): Promise<TransactionalEvents>;
  /**
   * Shares the events of topics among a group and handles each. What is no event, or cannot be handled after its
   * retries, goes to topic `dead-letters` before its offset is committed, and the loop goes on.
   * @throws RuntimeError RUNTIME_STOPPED after `close`.
   */
  consume<Name extends TopicName, Type extends Received<Name>['type'] = Received<Name>['type']>(
    options: ConsumeOptions<Name, Type>,
  ): Promise<Consumer>;
  /** Every event, without a group, now and to come: for projections and joins. Ends quietly when aborted or closed. */
  follow<Name extends TopicName>(options: FollowOptions<Name>): AsyncIterable<Received<Name>>;
  /** Every event up to the latest as of the call. @throws the signal's reason, or RUNTIME_STOPPED, when cut short. */
  readAll<Name extends TopicName>(
    topics: readonly Name[],
    options?: ReadAllOptions,
  ): AsyncIterable<Received<Name>>;
  /** Closes consumers, and ends iterations at their next event. */
  close(): Promise<void>;
}

export interface EventsOptions {
  readonly log: EventLog;
  /** The service's name: the source of what it publishes. */
  readonly source: string;
  readonly meter?: Meter;
  readonly tracer?: Tracer;
  readonly logger?: Logger;
  /** Told of events that wait for something outside of the service. */
  readonly waits?: Waits;
}

export function createEvents(options: EventsOptions): Events {
  const { log, source, logger = silentLogger, waits } = options;
  const { meter = createNoopMeter(), tracer = trace.getTracer('@rlhf-streams/bus') } = options;
  const metrics = createEventMetrics(meter, logger);
  const deadLetters = createDeadLetters({ log, service: source, metrics, logger });
  const closing = new AbortController();
  const consumers = new Set<Consumer>();

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
    consume: async (consumeOptions) => {
      closing.signal.throwIfAborted();
      const consumer = await consumeEvents(
        { log, tracer, logger, metrics, deadLetters, ...(waits && { waits }) },
        consumeOptions,
      );
      const tracked: Consumer = {
        assignment: consumer.assignment,
        close: async () => {
          await consumer.close();
          consumers.delete(tracked);
        },
      };
      consumers.add(tracked);
      if (closing.signal.aborted) await tracked.close();
      return tracked;
    },
    follow: (followOptions) =>
      readEvents({ log, metrics, deadLetters, closing: closing.signal }, { ...followOptions, follow: true }),
    readAll: (topics, readOptions = {}) =>
      readEvents(
        { log, metrics, deadLetters, closing: closing.signal },
        { ...readOptions, topics, follow: false },
      ),
    close: async () => {
      closing.abort(new RuntimeError('RUNTIME_STOPPED', `the events of ${source} are closed`));
      await Promise.all([...consumers].map((consumer) => consumer.close()));
    },
  };
}
