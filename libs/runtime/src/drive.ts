import type { Cause } from '@rlhf-streams/events';
import { own } from '@rlhf-streams/log';
import { pause, retry } from './deadline.js';
import { codeOf, messageOf } from './errors.js';
import { isMistake } from './mistakes.js';
import type { Projection } from './projection.js';
import type { ServiceContext } from './service.js';
import { isUnavailable } from './unavailable.js';

export interface DriveOptions<Value extends { readonly partition: number }> {
  /** Members of one group share the partitions of `topic`. */
  readonly group: string;
  readonly topic: string;
  /** What there is to drive, by key. */
  readonly projection: Projection<Value>;
  /** Whether a driver is wanted for this one now. */
  readonly wanted: (value: Value) => boolean;
  /**
   * Works until done, or until `signal` aborts because the partition goes to another member. It may be called again
   * for the same key, and then goes on from what the log says.
   */
  readonly drive: (key: string, signal: AbortSignal) => Promise<void>;
  /** Makes known why a driver cannot go on, so that it is no longer wanted; tried until it succeeds. */
  readonly fail: (key: string, cause: Cause) => Promise<void>;
  /** Milliseconds until a driver that was fenced in its own partition drives again. Default 10 s. */
  readonly fencedPauseMs?: number;
  /** Milliseconds until a driver that found something out of reach drives again, doubled up to 30 s. Default 1 s. */
  readonly unavailablePauseMs?: number;
}

/** Node's longest timer: to wait for what may never come. */
const FOREVER_MS = 2 ** 31 - 1;
const MOST_PAUSE_MS = 30_000;
/** A driver that went on for so long had recovered: its next pause is the first. */
const RECOVERED_MS = 60_000;

/**
 * Runs one driver for everything wanted in the partitions that this member of the group owns. A driver whose value is
 * no longer wanted is aborted; one that returned by itself is not started again by the same owner.
 *
 * What a driver throws decides how it goes on, while its partition is this member's and the service is up:
 * - LOG_FENCED: another writer took over. A member that has lost the partition learns so within `fencedPauseMs`; one
 *   that still has it was fenced by the log, as a broker does to a transaction that took too long, and drives again.
 * - what `isUnavailable` knows: it drives again after a pause.
 * - anything else is why it cannot go on: `fail` is told, with the error's code, or `<GROUP>_FAILED` where it has none.
 */
export async function driveOwned<Value extends { readonly partition: number }>(
  context: Pick<ServiceContext, 'log' | 'logger' | 'onStop' | 'signal'>,
  options: DriveOptions<Value>,
): Promise<void> {
  const { log, logger, onStop } = context;
  const { group, topic, projection, wanted } = options;

  const driveWhileWanted = async (key: string, signal: AbortSignal) => {
    const ended = new AbortController();
    const unwanted = new AbortController();
    const watching = projection
      .waitFor((state) => !wanted(state.get(key)!), {
        timeoutMs: FOREVER_MS,
        what: `${key} to be no longer wanted`,
        signal: AbortSignal.any([signal, ended.signal]),
      })
      .then(() => unwanted.abort())
      .catch((error) => {
        if (!signal.aborted && !ended.signal.aborted && codeOf(error) !== 'RUNTIME_STOPPED') throw error;
      });
    // Met below, when the driver has ended.
    watching.catch(() => {});
    try {
      await driveToItsEnd(context, options, key, AbortSignal.any([signal, unwanted.signal]));
    } finally {
      ended.abort();
    }
    await watching;
    return unwanted.signal.aborted;
  };

  const ownership = await own(
    log,
    { group, topic },
    async (partition, signal) => {
      const drivers = new Map<string, Promise<void>>();
      const next = () =>
        projection.waitFor(
          (state) =>
            [...state].find(
              ([key, value]) => value.partition === partition && wanted(value) && !drivers.has(key),
            )?.[0],
          { timeoutMs: FOREVER_MS, what: `something to drive in partition ${partition} of ${topic}`, signal },
        );
      while (!signal.aborted) {
        const key = await next().catch((error) => {
          if (!signal.aborted && codeOf(error) !== 'RUNTIME_STOPPED') throw error;
        });
        if (key === undefined) break;
        const driver = driveWhileWanted(key, signal).then((again) => {
          if (again) drivers.delete(key);
        });
        drivers.set(key, driver);
        driver.catch((err) => logger.error({ err, group, key }, `a driver failed: ${messageOf(err)}`));
      }
      await Promise.allSettled(drivers.values());
    },
    {
      onError: (err, partition) =>
        logger.error({ err, group, partition }, `the owner of a partition failed: ${messageOf(err)}`),
    },
  );
  onStop(() => ownership.close(), `ownership of ${topic}`);
}

/** Drives until it is done, `signal` aborts, the service stops, or `fail` was told why it cannot go on. */
async function driveToItsEnd<Value extends { readonly partition: number }>(
  { logger, signal: stopping }: Pick<ServiceContext, 'logger' | 'signal'>,
  { group, drive, fail, fencedPauseMs = 10_000, unavailablePauseMs = 1000 }: DriveOptions<Value>,
  key: string,
  signal: AbortSignal,
): Promise<void> {
  let waitMs = unavailablePauseMs;
  while (!signal.aborted) {
    const begun = performance.now();
    try {
      return await drive(key, signal);
    } catch (err) {
      // Another owner is at work, or the service is going down: the work goes on elsewhere, or later.
      if (signal.aborted || stopping.aborted || codeOf(err) === 'RUNTIME_STOPPED') return;
      if (codeOf(err) === 'LOG_FENCED') {
        logger.warn({ err, group, key }, `a driver was fenced: it drives again in ${fencedPauseMs} ms`);
        await pause(fencedPauseMs, signal);
      } else if (isUnavailable(err)) {
        if (performance.now() - begun > RECOVERED_MS) waitMs = unavailablePauseMs;
        logger.warn({ err, group, key }, `a driver drives again in ${waitMs} ms: ${messageOf(err)}`);
        await pause(waitMs, signal);
        waitMs = Math.min(2 * waitMs, MOST_PAUSE_MS);
      } else {
        const cause = { code: ownCodeOf(err) ?? `${group.toUpperCase()}_FAILED`, message: messageOf(err) };
        const said = `a driver cannot go on: ${cause.message}`;
        if (isMistake(cause.code)) logger.info({ code: cause.code, group, key }, said);
        else logger.error({ err, group, key }, said);
        const onRetry = (err: Error) =>
          logger.error({ err, group, key }, 'a failure could not be made known and will be tried again');
        return await retry(() => fail(key, cause), {
          retries: Number.POSITIVE_INFINITY,
          minDelayMs: unavailablePauseMs,
          maxDelayMs: MOST_PAUSE_MS,
          signal,
          onRetry,
        }).catch((error) => {
          if (!signal.aborted) throw error;
        });
      }
    }
  }
}

function ownCodeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' && code !== '' ? code : undefined;
}
