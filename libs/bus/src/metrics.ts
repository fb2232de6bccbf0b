import type { Meter } from '@opentelemetry/api';
import type { EventLog } from '@rlhf-streams/log';
import { withDeadline } from '@rlhf-streams/waiting';
import type { Logger } from './logger.js';

/** Bucket bounds, in seconds, for what takes between a millisecond and ten minutes. */
export const SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 600];

/** `skipped`: not among the types asked for; `aborted`: will be delivered again. */
export type Outcome = 'handled' | 'followed' | 'skipped' | 'rejected' | 'aborted';

export interface EventMetrics {
  published(topic: string, type: string): void;
  consumed(topic: string, type: string, outcome: Outcome): void;
  handled(topic: string, type: string, outcome: Outcome, seconds: number): void;
  deadLettered(topic: string, code: string): void;
  /** Observes the lag of a consumer group at every scrape, until the function that it returns is called. */
  lag(log: EventLog, group: string, topics: readonly string[]): () => void;
}

const LAG_TIMEOUT_MS = 2000;

export function createEventMetrics(meter: Meter, logger: Logger): EventMetrics {
  const published = meter.createCounter('events_published_total', {
    description: 'Events accepted by the log',
  });
  const consumed = meter.createCounter('events_consumed_total', {
    description: 'Events read, by what became of them',
  });
  const duration = meter.createHistogram('event_handler_duration_seconds', {
    description: 'From the first attempt to the last',
    advice: { explicitBucketBoundaries: SECONDS },
  });
  const deadLetters = meter.createCounter('dead_letters_total', {
    description: 'Records put on topic dead-letters',
  });
  const lag = meter.createObservableGauge('consumer_lag', {
    description: 'Records a group has not committed yet',
  });
  return {
    published: (topic, type) => published.add(1, { topic, type }),
    consumed: (topic, type, outcome) => consumed.add(1, { topic, type, outcome }),
    handled: (topic, type, outcome, seconds) => duration.record(seconds, { topic, type, outcome }),
    deadLettered: (topic, code) => deadLetters.add(1, { topic, code }),
    lag: (log, group, topics) => {
      const observe: Parameters<typeof lag.addCallback>[0] = async (result) => {
        try {
          const behind = await withDeadline(log.lag(group, topics), {
            ms: LAG_TIMEOUT_MS,
            late: `the lag of group ${group}`,
          });
          for (const [topic, partitions] of Object.entries(behind)) {
            result.observe(
              partitions.reduce((sum, records) => sum + records, 0),
              { group, topic },
            );
          }
        } catch (err) {
          logger.warn({ err, group }, 'consumer lag is not known');
        }
      };
      lag.addCallback(observe);
      return () => lag.removeCallback(observe);
    },
  };
}
