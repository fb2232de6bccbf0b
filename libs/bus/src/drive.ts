import type { Cause } from '@rlhf-streams/events';
import { type EventLog, own } from '@rlhf-streams/log';
import { backoff, linked, pause, retry } from '@rlhf-streams/waiting';
import { codeOf, messageOf } from './errors.js';
import type { Logger } from './logger.js';
import type { Projection } from './projection.js';
import { isRetriable, isUnavailable } from './recovery.js';
import type { Waits } from './waits.js';

/** What a driver needs of the service that it is part of. */
export interface DriveContext {
  readonly log: EventLog;
  readonly logger: Logger;
  readonly waits: Waits;
  /** Aborted when the service begins to drain. */
  readonly signal: AbortSignal;
  onStop(run: () => void | Promise<void>, what?: string): void;
}

export interface DriveOptions<Value extends { readonly partition: number }> {
  /** Members of one group share the partitions of `topic`. */
  readonly group: string;
  readonly topic: string;
  /** What there is to drive, by run. */
  readonly projection: Projection<Value>;
  /** Whether what has this value is to be driven now. */
  readonly wanted: (value: Value) => boolean;
  /**
   * Works until done, or until `signal` aborts because the partition goes to another member. It may be called again
   * for the same run, and then goes on from what the log says. It calls `goesOn` whenever a part of the work is done:
   * a wait that it met before is then over.
   */
  readonly drive: (run: string, signal: AbortSignal, goesOn: () => void) => Promise<void>;
  /** Makes known why a driver cannot go on, so that it is no longer wanted; tried until it succeeds. */
  readonly fail: (run: string, cause: Cause) => Promise<void>;
  /** Milliseconds until a driver that was fenced in its own partition drives again. Default 10 s. */
  readonly fencedPauseMs?: number;
  /** Milliseconds until a driver that waits for something outside of it drives again, doubled up to 10 s. Default 1 s. */
  readonly unavailablePauseMs?: number;
}

const MOST_PAUSE_MS = 10_000;

/**
 * Runs one driver for everything wanted in the partitions that this member of the group owns. A driver whose value is
 * no longer wanted is aborted; one that returned by itself is not started again while it is still wanted.
 *
 * What a driver throws decides how it goes on, while its partition is this member's and the service is up:
 * - LOG_FENCED: another writer took over. A member that has lost the partition learns so within `fencedPauseMs`; one
 *   that still has it was fenced by the log, as a broker does to a transaction that took too long, and drives again.
 * - what `isUnavailable` knows: the run waits, is paused when that lasts, and is driven again until it goes on.
 * - anything else is why it cannot go on: `fail` is called, with the error's code, or `<GROUP>_FAILED` where it has none.
 */
export async function driveOwned<Value extends { readonly partition: number }>(
  context: DriveContext,
  options: DriveOptions<Value>,
): Promise<void> {
  const { log, logger, onStop } = context;
  const { group, topic, projection, wanted } = options;

  /** Drives once, and resolves when it is over and the run is no longer wanted, or `signal` aborts. */
  const driveWhileWanted = async (key: string, signal: AbortSignal) => {
    const unwanted = new AbortController();
    const watching = projection
      .waitFor((state) => !wanted(state.get(key)!), {
        what: `${key} to be no longer wanted`,
        signal,
      })
      .then(() => unwanted.abort())
      .catch((error) => {
        if (!signal.aborted && codeOf(error) !== 'RUNTIME_STOPPED') throw error;
      });
    // A failure is thrown by the await below, once the driver has ended; until then nobody handles it.
    watching.catch(() => {});
    const either = linked(signal, unwanted.signal);
    await driveToItsEnd(context, options, key, either.signal).finally(() => either.release());
    await watching;
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
          { what: `something to drive in partition ${partition} of ${topic}`, signal },
        );
      while (!signal.aborted) {
        const key = await next().catch((error) => {
          if (!signal.aborted && codeOf(error) !== 'RUNTIME_STOPPED') throw error;
        });
        if (key === undefined) break;
        const drive = async () => {
          do await driveWhileWanted(key, signal);
          while (!signal.aborted && !context.signal.aborted && wanted(projection.state.get(key)!));
          drivers.delete(key);
        };
        const driver = drive();
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

/** Drives until it is done, `signal` aborts, the service stops, or `fail` was called because it cannot go on. */
async function driveToItsEnd<Value extends { readonly partition: number }>(
  { logger, signal: stopping, waits }: DriveContext,
  { group, drive, fail, fencedPauseMs = 10_000, unavailablePauseMs = 1000 }: DriveOptions<Value>,
  key: string,
  signal: AbortSignal,
): Promise<void> {
  const delays = backoff({ minDelayMs: unavailablePauseMs, maxDelayMs: MOST_PAUSE_MS });
  const goesOn = () => {
    delays.reset();
    waits.goesOn(key, group);
  };
  // Once the partition is another member's, that member says whether the run goes on.
  signal.addEventListener('abort', () => waits.forget(key, group), { once: true });
  while (!signal.aborted) {
    try {
      await drive(key, signal, goesOn);
      return goesOn();
    } catch (err) {
      // Another owner is at work, or the service is going down: the work goes on elsewhere, or later.
      if (signal.aborted || stopping.aborted || codeOf(err) === 'RUNTIME_STOPPED') return;
      if (codeOf(err) === 'LOG_FENCED') {
        logger.warn({ err, group, key }, `a driver was fenced: it drives again in ${fencedPauseMs} ms`);
        await pause(fencedPauseMs, signal);
      } else if (isUnavailable(err)) {
        waits.begin(key, group, err);
        const said = `a run waits, for ${delays.nextMs} ms: ${messageOf(err)}`;
        logger.warn({ group, key, code: codeOf(err) }, said);
        await delays.pause(signal);
      } else {
        waits.forget(key, group);
        const code = ownCodeOf(err);
        const cause = { code: code ?? `${group.toUpperCase()}_FAILED`, message: messageOf(err) };
        // What has a code was foreseen, and the run's failure says it all; anything else is a fault of ours.
        if (code) logger.info({ group, key, code }, `a run failed: ${cause.message}`);
        else logger.error({ err, group, key }, `a driver cannot go on: ${cause.message}`);
        const onRetry = (err: Error) =>
          logger.error({ err, group, key }, 'a failure could not be made known and will be tried again');
        return await retry(() => fail(key, cause), {
          shouldRetry: isRetriable,
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
