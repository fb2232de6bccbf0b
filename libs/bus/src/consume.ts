import type { Tracer } from '@opentelemetry/api';
import { type TopicName, topics } from '@rlhf-streams/events';
import type { Batch, BatchContext, EventLog, LogRecord, TopicPartition } from '@rlhf-streams/log';
import { linked, retry, withDeadline } from '@rlhf-streams/waiting';
import type { DeadLetters } from './dead-letters.js';
import { codeOf, messageOf, RuntimeError } from './errors.js';
import type { Logger } from './logger.js';
import type { EventMetrics, Outcome } from './metrics.js';
import { type Received, receive } from './received.js';
import { isRetriable, isUnavailable } from './recovery.js';
import { inTraceOf } from './tracing.js';
import type { Waits } from './waits.js';

export interface ConsumeOptions<Name extends TopicName, Type extends Received<Name>['type']> {
  /** Members of one group share the work. */
  readonly group: string;
  readonly topics: readonly Name[];
  /** Only events of these types are handled. Default all. */
  readonly onlyTypes?: readonly Type[];
  /**
   * Handles one event. It may see an event twice, and must then come to the same: results have deterministic ids.
   * It should stop soon when `signal` aborts, by throwing; the event is then delivered again.
   */
  readonly handle: (event: Extract<Received<Name>, { type: Type }>, context: HandlerContext) => Promise<void>;
  /** Events of a batch handled at the same time. Default all; 1 keeps the order of a partition. */
  readonly concurrency?: number;
  /**
   * Attempts after the first, with exponential delays; then the record goes to the dead letters. Default 3. A failure
   * that others must mend (`isUnavailable`) counts as no attempt: the event waits until they have.
   */
  readonly retries?: number;
  /** Milliseconds before the first retry. Default 100. */
  readonly retryDelayMs?: number;
  /** Milliseconds an attempt may take until it fails with RUNTIME_DEADLINE. Default ten minutes. */
  readonly timeoutMs?: number;
  /** Where a group without committed offsets begins. Default `earliest`. */
  readonly from?: 'earliest' | 'latest';
  /** Most records of a batch. Default 500. */
  readonly maxBatchRecords?: number;
}

export interface HandlerContext {
  /** Aborted when the service drains, the partition moves to another member, or the attempt's time is up. */
  readonly signal: AbortSignal;
}

export interface Consumer {
  assignment(): readonly TopicPartition[];
  /** Aborts running handlers, awaits them and commits what they finished. Idempotent. */
  close(): Promise<void>;
}

export interface ConsumeDependencies {
  readonly log: EventLog;
  readonly tracer: Tracer;
  readonly logger: Logger;
  readonly metrics: EventMetrics;
  readonly deadLetters: DeadLetters;
  readonly waits?: Waits;
}

const DEFAULT_TIMEOUT_MS = 10 * 60 * 1000;

/**
 * Offsets are committed when every event before them was handled, skipped, or is durably among the dead letters.
 * @throws RuntimeError RUNTIME_INVALID for a concurrency below 1.
 */
export async function consumeEvents<Name extends TopicName, Type extends Received<Name>['type']>(
  dependencies: ConsumeDependencies,
  options: ConsumeOptions<Name, Type>,
): Promise<Consumer> {
  const { log, metrics, logger } = dependencies;
  const { group, concurrency = Number.POSITIVE_INFINITY } = options;
  if (!(concurrency >= 1)) {
    throw new RuntimeError(
      'RUNTIME_INVALID',
      `expected concurrency of group ${group} to be at least 1, got ${concurrency}`,
    );
  }
  const subscription = await log.subscribe({
    group,
    topics: options.topics,
    from: options.from ?? 'earliest',
    ...(options.maxBatchRecords !== undefined && { maxBatchRecords: options.maxBatchRecords }),
    onBatch: (batch, context) =>
      handleBatch(batch, context, concurrency, (record) =>
        handleRecord(dependencies, options, record, context.signal),
      ),
    onError: (err, { topic, partition }) => {
      const said = 'a batch failed and will be delivered again';
      if (isUnavailable(err)) logger.warn({ code: codeOf(err), group, topic, partition }, said);
      else logger.error({ err, group, topic, partition }, said);
    },
  });
  const endLag = metrics.lag(log, group, options.topics);
  return {
    assignment: () => subscription.assignment(),
    close: async () => {
      endLag();
      await subscription.close();
    },
  };
}

async function handleBatch(
  { records }: Batch,
  { signal, commit }: BatchContext,
  concurrency: number,
  handle: (record: LogRecord) => Promise<boolean>,
): Promise<void> {
  const done = records.map(() => false);
  const failures: unknown[] = [];
  let next = 0;
  const work = async () => {
    while (next < records.length && !signal.aborted && failures.length === 0) {
      const index = next++;
      try {
        done[index] = await handle(records[index]!);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, records.length) }, work));

  const unfinished = done.indexOf(false);
  const last = records[(unfinished < 0 ? records.length : unfinished) - 1];
  if (last && (signal.aborted || failures.length > 0)) await commit(last);
  if (failures.length > 0) throw failures[0];
}

/** Whether the record is done with; false when it must be delivered again. */
async function handleRecord<Name extends TopicName, Type extends Received<Name>['type']>(
  dependencies: ConsumeDependencies,
  options: ConsumeOptions<Name, Type>,
  record: LogRecord,
  signal: AbortSignal,
): Promise<boolean> {
  const { metrics, deadLetters } = dependencies;
  const topic = record.topic as Name;
  const type = knownType(topic, record.headers.ce_type);
  if (options.onlyTypes && type && !options.onlyTypes.includes(type as Type)) {
    metrics.consumed(topic, type, 'skipped');
    return true;
  }

  let event: Received<Name>;
  try {
    event = receive({ ...record, topic });
  } catch (error) {
    await deadLetters.reject({ record, error, attempts: 1 });
    metrics.consumed(topic, type ?? 'unknown', 'rejected');
    return true;
  }

  const begun = performance.now();
  const outcome = await handleEvent(dependencies, options, { record, event }, signal);
  metrics.consumed(topic, event.type, outcome);
  metrics.handled(topic, event.type, outcome, (performance.now() - begun) / 1000);
  return outcome !== 'aborted';
}

const knownType = (topic: TopicName, type: string | undefined): string | undefined =>
  topics[topic].events.find((definition) => definition.type === type)?.type;

/** Hands the event to the handler until that succeeds, has used up its retries, or the signal aborts. */
async function handleEvent<Name extends TopicName, Type extends Received<Name>['type']>(
  { tracer, deadLetters, logger, waits }: ConsumeDependencies,
  options: ConsumeOptions<Name, Type>,
  { record, event }: { readonly record: LogRecord; readonly event: Received<Name> },
  signal: AbortSignal,
): Promise<Extract<Outcome, 'handled' | 'rejected' | 'aborted'>> {
  const { group, handle, retries = 3, retryDelayMs = 100, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const { type, id } = event;
  const run = 'run' in event.data ? event.data.run : undefined;
  let attempts = 0;
  let handled = false;

  const once = () =>
    withDeadline(
      async (deadline) => {
        // On a drain the handler's signal aborts, and the handler is awaited; only its own deadline gives it up.
        const either = linked(signal, deadline);
        try {
          await handle(event as Extract<Received<Name>, { type: Type }>, { signal: either.signal });
          handled = true;
        } finally {
          either.release();
        }
      },
      { ms: timeoutMs, late: `group ${group} to handle ${type} ${id}` },
    );
  const onWait = (err: Error) => {
    logger.warn({ code: codeOf(err), group, type, id }, `an event waits: ${messageOf(err)}`);
    if (run !== undefined) waits?.begin(run, id, err);
  };
  const attempt = () => {
    attempts++;
    return retry(once, { shouldRetry: isUnavailable, minDelayMs: retryDelayMs, signal, onRetry: onWait });
  };
  const onRetry = (err: Error) =>
    logger.warn({ err, group, type, id, attempts }, 'an event will be tried again');

  try {
    await inTraceOf(tracer, record, group, () =>
      retry(attempt, { shouldRetry: isRetriable, retries, minDelayMs: retryDelayMs, signal, onRetry }),
    );
    return 'handled';
  } catch (error) {
    if (handled) return 'handled';
    if (signal.aborted) return 'aborted';
    await deadLetters.reject({ record, error, attempts });
    return 'rejected';
  } finally {
    if (run !== undefined) {
      if (signal.aborted) waits?.forget(run, id);
      else waits?.goesOn(run, id);
    }
  }
}
