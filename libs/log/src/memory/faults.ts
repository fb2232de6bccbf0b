import { setImmediate as turn } from 'node:timers/promises';
import { murmur2 } from '../core/murmur2.js';
import { LogError } from '../errors.js';
import type { Attempt, DeliveryFaults } from '../local/faults.js';

/**
 * Faults of delivery, which happen to consumers of a real broker, too. None breaks the order within a partition, loses a
 * record, or undoes a commit that the handler made itself. Numbers are probabilities from 0 to 1.
 */
export interface FaultOptions {
  /** After the handler succeeded, a part of the batch (from some record to its end) is delivered again. */
  readonly duplicate?: number;
  /** The delivery is held back for some turns of the event loop. */
  readonly delay?: number;
  /** Deliveries of different partitions come in shuffled order. */
  readonly reorder?: boolean;
  /** After the handler succeeded, the commit is lost, as in a crash: what the handler did not commit itself comes again. */
  readonly crash?: number;
}

/** The most faults of one batch, so that a run ends at any probability. */
const MAX_FAULTS = 3;
const LONGEST_DELAY_TURNS = 32;
const SHUFFLE_TURNS = 8;

/**
 * Draws every fault from (seed, group, topic, partition, offset, attempt) alone, so that a seed brings the same faults
 * whatever else goes on.
 */
export function deliveryFaults(seed: number, options: FaultOptions): DeliveryFaults {
  const { duplicate = 0, delay = 0, reorder = false, crash = 0 } = options;
  for (const [name, probability] of Object.entries({ duplicate, delay, crash }))
    if (!(probability >= 0 && probability <= 1))
      throw new LogError(
        'LOG_INVALID',
        `faults.${name} must be a probability from 0 to 1; got ${probability}.`,
      );

  const draw = (what: string, parts: readonly (string | number)[]) =>
    (murmur2(Buffer.from(JSON.stringify([seed, what, ...parts]))) >>> 0) / 2 ** 32;
  const drawFor = (what: string, { group, topic, partition, offset, attempt }: Attempt) =>
    draw(what, [group, topic, partition, offset, attempt]);

  return {
    async beforeDelivery(attempt) {
      let turns = 1;
      if (reorder) turns += Math.floor(drawFor('reorder', attempt) * SHUFFLE_TURNS);
      if (drawFor('delay', attempt) < delay)
        turns += Math.ceil(drawFor('delay turns', attempt) * LONGEST_DELAY_TURNS);
      for (let i = 0; i < turns; i++) await turn();
    },
    redeliverFrom(attempt, end) {
      if (attempt.attempt >= MAX_FAULTS) return undefined;
      if (drawFor('crash', attempt) < crash) return attempt.offset;
      if (drawFor('duplicate', attempt) < duplicate)
        return attempt.offset + Math.floor(drawFor('duplicate from', attempt) * (end - attempt.offset));
      return undefined;
    },
    visitingOrder(items, round) {
      if (!reorder) return items;
      return items
        .map((item, index) => ({ item, place: draw('visit', [round, index]) }))
        .sort((a, b) => a.place - b.place)
        .map(({ item }) => item);
    },
  };
}
