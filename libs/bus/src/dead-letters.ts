import { type EncodedEvent, encodeEvent } from '@rlhf-streams/events';
import { type EventLog, type LogRecord, MAX_RECORD_BYTES } from '@rlhf-streams/log';
import { codeOf, messageOf } from './errors.js';
import type { Logger } from './logger.js';
import type { EventMetrics } from './metrics.js';

/** A record nobody will handle, and why. */
interface Rejection {
  readonly record: LogRecord;
  readonly error: unknown;
  readonly attempts: number;
}

export interface DeadLetters {
  /** Publishes the rejection; resolves when it is durable. */
  reject(rejection: Rejection): Promise<void>;
  /** The same, unless this service has already rejected the record, now or in an earlier life. */
  rejectOnce(rejection: Rejection): Promise<void>;
}

const TOPIC = 'dead-letters';
/** A schema's complaints about a long record are as long as the record. */
const MAX_MESSAGE = 4000;
const MAX_KEY = 1000;
/** What the log adds to a letter's value: its key and headers. */
const OVERHEAD_BYTES = 2000;

export function createDeadLetters(about: {
  readonly log: EventLog;
  readonly service: string;
  readonly metrics: EventMetrics;
  readonly logger: Logger;
}): DeadLetters {
  const { log, service, metrics, logger } = about;
  /** Ids of this service's letters on the topic, once they are needed. */
  let known: Promise<Set<string>> | undefined;

  const reject = async (rejection: Rejection) => {
    const { topic, partition, offset } = rejection.record;
    const { error, attempts } = rejection;
    // A dead letter about a dead letter would itself be consumed, fail, and so on for ever.
    if (topic === TOPIC) {
      logger.error({ err: error, topic, partition, offset, attempts }, 'a dead letter could not be handled');
      return;
    }
    await log.publish([letterOf(service, rejection)]);
    const code = codeOf(error);
    metrics.deadLettered(topic, code);
    logger.warn({ topic, partition, offset, attempts, code }, `a record was rejected: ${messageOf(error)}`);
  };

  const readKnown = async () => {
    const ids = new Set<string>();
    for await (const { records } of log.read({ topics: [TOPIC], follow: false })) {
      for (const { headers } of records) {
        if (headers.ce_source === service && headers.ce_id) ids.add(headers.ce_id);
      }
    }
    return ids;
  };

  return {
    reject,
    rejectOnce: async (rejection) => {
      known ??= readKnown();
      try {
        const ids = await known;
        const id = idOf(service, rejection.record);
        if (ids.has(id)) return;
        ids.add(id);
        await reject(rejection);
      } catch (error) {
        known = undefined;
        throw error;
      }
    },
  };
}

/** The record whole, or, where a letter would be too large for the log, without its content. */
function letterOf(service: string, { record, error, attempts }: Rejection): EncodedEvent {
  const { topic, partition, offset, key, value, headers } = record;
  const message = messageOf(error).slice(0, MAX_MESSAGE);
  const encode = (kept: Pick<LogRecord, 'key' | 'value' | 'headers'>, note: string) => {
    const data = {
      service,
      source: { topic, partition, offset },
      key: kept.key,
      value: Buffer.from(kept.value).toString('base64'),
      headers: { ...kept.headers },
      cause: { code: codeOf(error), message: `${message}${note}` },
      attempts,
    };
    return encodeEvent('record.rejected', data, { id: idOf(service, record), source: service });
  };
  const whole = encode({ key, value, headers }, '');
  if (Buffer.byteLength(whole.value) + OVERHEAD_BYTES <= MAX_RECORD_BYTES) return whole;
  const note = ' (the record is too large to be kept here: it is at its source)';
  return encode({ key: key.slice(0, MAX_KEY), value: new Uint8Array(), headers: {} }, note);
}

const idOf = (service: string, { topic, partition, offset }: LogRecord): string =>
  `${service}/${topic}/${partition}/${offset}`;
