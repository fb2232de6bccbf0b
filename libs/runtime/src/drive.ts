import { own } from '@rlhf-streams/log';
import { codeOf, messageOf } from './errors.js';
import type { Projection } from './projection.js';
import type { ServiceContext } from './service.js';

export interface DriveOptions<Value extends { readonly partition: number }> {
  /** Members of one group share the partitions of `topic`. */
  readonly group: string;
  readonly topic: string;
  /** What there is to drive, by key. */
  readonly projection: Projection<Value>;
  /** Whether a driver is wanted for this one now. */
  readonly wanted: (value: Value) => boolean;
  /** Works until done, or until `signal` aborts because the partition goes to another member. Handles its own failures. */
  readonly drive: (key: string, signal: AbortSignal) => Promise<void>;
}

/** Node's longest timer: to wait for what may never come. */
const FOREVER_MS = 2 ** 31 - 1;

/**
 * Runs one driver for everything wanted in the partitions that this member of the group owns. A driver whose value is
 * no longer wanted is aborted; one that returned by itself is not started again by the same owner.
 */
export async function driveOwned<Value extends { readonly partition: number }>(
  { log, logger, onStop }: Pick<ServiceContext, 'log' | 'logger' | 'onStop'>,
  { group, topic, projection, wanted, drive }: DriveOptions<Value>,
): Promise<void> {
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
    await drive(key, AbortSignal.any([signal, unwanted.signal]));
    ended.abort();
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
