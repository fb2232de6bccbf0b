import { LogError } from '../errors.js';
import type { NewRecord, Positions, TopicPartition, TopicSpec } from '../port.js';

/** The largest record (key, value and headers) that a log takes, in bytes: a Kafka broker's default, less overhead. */
export const MAX_RECORD_BYTES = 1_000_000;
const MAX_PARTITIONS = 10_000;
const MAX_NAME_LENGTH = 249;

function invalid(message: string): never {
  throw new LogError('LOG_INVALID', message);
}

/** Applies Kafka's rules for topics, so that every log takes the same ones. @throws LogError LOG_INVALID. */
export function checkTopic(spec: TopicSpec): void {
  const { name, partitions, cleanup, retentionMs, replication, settings = {} } = spec;
  if (!/^[A-Za-z0-9._-]{1,249}$/.test(name) || name === '.' || name === '..')
    invalid(`Topic names are 1 to 249 letters, digits, ".", "_" and "-"; got ${JSON.stringify(name)}.`);
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > MAX_PARTITIONS)
    invalid(`Topic ${name}: partitions must be an integer from 1 to ${MAX_PARTITIONS}; got ${partitions}.`);
  if (cleanup !== 'delete' && cleanup !== 'compact')
    invalid(`Topic ${name}: cleanup must be "delete" or "compact"; got ${JSON.stringify(cleanup)}.`);
  if (retentionMs !== undefined && (cleanup !== 'delete' || !(retentionMs > 0)))
    invalid(
      `Topic ${name}: retentionMs must be positive and goes with cleanup "delete"; got ${retentionMs}.`,
    );
  if (replication !== undefined && (!Number.isInteger(replication) || replication < 1))
    invalid(`Topic ${name}: replication must be an integer of at least 1; got ${replication}.`);
  for (const [setting, value] of Object.entries(settings)) {
    if (setting === 'cleanup.policy' || setting === 'retention.ms')
      invalid(`Topic ${name}: ${setting} goes by the topic's cleanup and retentionMs, not by its settings.`);
    if (typeof value !== 'string')
      invalid(`Topic ${name}: setting ${setting} must be text; got ${JSON.stringify(value)}.`);
  }
}

/** Checks the name of a group or a transactional id. @throws LogError LOG_INVALID. */
export function checkName(what: string, name: string): void {
  if (typeof name !== 'string' || !name || name.length > MAX_NAME_LENGTH || /[\p{Cc}\p{Cs}]/u.test(name))
    invalid(`A ${what} is 1 to ${MAX_NAME_LENGTH} printable characters; got ${JSON.stringify(name)}.`);
}

/** Checks an option that is a number of things or of milliseconds. @throws LogError LOG_INVALID. */
export function checkNumber(what: string, value: number, least: number): void {
  if (!Number.isFinite(value) || value < least) invalid(`${what} must be at least ${least}; got ${value}.`);
}

export function checkOffset(what: string, offset: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0)
    invalid(`${what} must be an integer of 0 or more; got ${offset}.`);
}

/** @throws LogError LOG_INVALID for an offset past `latest`; LOG_UNKNOWN_TOPIC for a partition that is not there. */
export function checkTrim(
  { topic, partition, offset }: TopicPartition & { readonly offset: number },
  latest: Positions,
): void {
  checkOffset(`The offset before which ${topic} is trimmed`, offset);
  const end = latest[topic]![partition];
  if (end === undefined)
    throw new LogError('LOG_UNKNOWN_TOPIC', `Topic ${topic} has no partition ${partition}.`);
  if (offset > end)
    invalid(`Partition ${partition} of ${topic} ends at ${end}: it cannot be trimmed up to ${offset}.`);
}

/**
 * Checks a record and returns a copy of its value, which later changes to the caller's buffer do not reach.
 *
 * @throws LogError LOG_INVALID, LOG_RECORD_TOO_LARGE.
 */
export function recordBytes({ topic, key, value, headers = {} }: NewRecord): Uint8Array {
  let size = checkText(topic, 'key', key);
  for (const [name, text] of Object.entries(headers))
    size += checkText(topic, 'header name', name) + checkText(topic, `header ${name}`, text);
  if (typeof value !== 'string' && !(value instanceof Uint8Array))
    invalid(
      `A value for topic ${topic} must be a string or bytes; got ${value === null ? null : typeof value}.`,
    );
  size += typeof value === 'string' ? Buffer.byteLength(value) : value.byteLength;
  if (size > MAX_RECORD_BYTES)
    throw new LogError(
      'LOG_RECORD_TOO_LARGE',
      `A record for topic ${topic} has ${size} bytes; the most is ${MAX_RECORD_BYTES}. Publish large data as an artifact and its address as the record.`,
    );
  return typeof value === 'string' ? Buffer.from(value) : Uint8Array.from(value);
}

/** Returns the length in UTF-8. A lone surrogate has none, so the log could not give it back. */
function checkText(topic: string, what: string, text: string): number {
  if (typeof text !== 'string' || /\p{Surrogate}/u.test(text))
    invalid(
      `The ${what} of a record for topic ${topic} must be well-formed text; got ${JSON.stringify(text)}.`,
    );
  return Buffer.byteLength(text);
}
