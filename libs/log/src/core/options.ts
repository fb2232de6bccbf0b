/** Options of calls, checked and with their defaults: the same for every log. */
import { LogError, warn } from '../errors.js';
import type { GroupCommit, Positions, ReadOptions, SubscribeOptions } from '../port.js';
import { checkName, checkNumber, checkOffset } from './checks.js';

const DEFAULT_BATCH_RECORDS = 500;

export type MemberOptions = Omit<Required<SubscribeOptions>, 'onBatch'> & Pick<SubscribeOptions, 'onBatch'>;

/** @throws LogError LOG_INVALID naming the option. */
export function memberOptions(options: SubscribeOptions): MemberOptions {
  const { group, topics, maxBatchRecords = DEFAULT_BATCH_RECORDS } = options;
  const { retryDelayMs = 200, revokeTimeoutMs = 30_000 } = options;
  checkName('group', group);
  checkNumber('maxBatchRecords', maxBatchRecords, 1);
  checkNumber('retryDelayMs', retryDelayMs, 0);
  checkNumber('revokeTimeoutMs', revokeTimeoutMs, 0);
  if (topics.length === 0)
    throw new LogError('LOG_INVALID', `Group ${group} subscribes to no topic: name one.`);
  return {
    onAssigned: () => {},
    onRevoked: async () => {},
    onError: warn,
    from: 'earliest',
    ...options,
    maxBatchRecords,
    retryDelayMs,
    revokeTimeoutMs,
  };
}

export interface ReadPlan extends Pick<ReadOptions, 'topics' | 'partitions' | 'follow'> {
  readonly from: Positions;
  readonly maxBatchRecords: number;
  /** Aborts when the caller's signal does, or when the log closes. */
  readonly signal: AbortSignal;
}

/** @throws LogError LOG_INVALID naming the option. */
export function readPlan(options: ReadOptions): Omit<ReadPlan, 'signal'> {
  const { topics, from = {}, partitions, follow, maxBatchRecords = DEFAULT_BATCH_RECORDS } = options;
  checkNumber('maxBatchRecords', maxBatchRecords, 1);
  for (const [topic, offsets] of Object.entries(from))
    for (const offset of offsets) checkOffset(`The position in ${topic}`, offset);
  return { topics, from, partitions, follow, maxBatchRecords };
}

/** @throws LogError LOG_INVALID. Whether the partition exists is for the adapter to know. */
export function checkCommit({ group, offset }: GroupCommit): void {
  checkName('group', group);
  checkOffset('A committed offset', offset);
}
