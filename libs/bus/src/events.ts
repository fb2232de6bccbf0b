/** Typed events over a log: what a service publishes, consumes and follows. */
import { createNoopMeter, type Meter, type Tracer, trace } from '@opentelemetry/api';
import type { TopicName } from '@rlhf-streams/events';
import type { EventLog } from '@rlhf-streams/log';
import { type ConsumeOptions, type Consumer, consumeEvents } from './consume.js';
import { createDeadLetters } from './dead-letters.js';
import { RuntimeError } from './errors.js';
import { type FollowOptions, type ReadAllOptions, readEvents } from './follow.js';
import { type Logger, silentLogger } from './logger.js';
import { createEventMetrics } from './metrics.js';
import { createPublisher, type Publisher } from './publish.js';
import type { Received } from './received.js';
import type { Waits } from './waits.js';

export interface Events extends Publisher {
  /**
   * Shares the events of topics among a consumer group and handles each. What is no event, or cannot be handled after
   * its retries, goes to topic `dead-letters` before its offset is committed, and the loop goes on.
   * @throws RuntimeError RUNTIME_STOPPED after `close`.
   * @example
   * await events.consume({
   *   group: 'reward',
   *   topics: ['rollouts'],
   *   onlyTypes: ['rollout.generated'],
   *   handle: async ({ data }, { signal }) => events.publish([await score(data, signal)]),
   * });
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
  /** Keeps the waits of events for something outside of the service. */
  readonly waits?: Waits;
}

export function createEvents(options: EventsOptions): Events {
  const { log, source, logger = silentLogger, waits } = options;
  const { meter = createNoopMeter(), tracer = trace.getTracer('@rlhf-streams/bus') } = options;
  const metrics = createEventMetrics(meter, logger);
  const deadLetters = createDeadLetters({ log, service: source, metrics, logger });
  const closing = new AbortController();
  const reading = { log, metrics, deadLetters, closing: closing.signal };
  const consumers = new Set<Consumer>();

  return {
    ...createPublisher({ log, source, metrics }),
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
    follow: (followOptions) => readEvents(reading, { ...followOptions, follow: true }),
    readAll: (topics, readOptions = {}) => readEvents(reading, { ...readOptions, topics, follow: false }),
    close: async () => {
      closing.abort(new RuntimeError('RUNTIME_STOPPED', `the events of ${source} are closed`));
      await Promise.all([...consumers].map((consumer) => consumer.close()));
    },
  };
}
