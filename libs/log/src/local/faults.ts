import type { TopicPartition } from '../port.js';

/** One attempt at one batch: `attempt` counts from 0 at each new `offset`. */
export interface Attempt extends TopicPartition {
  readonly group: string;
  readonly offset: number;
  readonly attempt: number;
}

/** What a test may make go wrong in delivery: nothing a consumer of a real broker could not meet. */
export interface DeliveryFaults {
  /** Awaited before each delivery. */
  beforeDelivery(attempt: Attempt): Promise<void>;
  /** After the handler succeeded: where to deliver from again, or undefined for no fault. `end` is past the batch. */
  redeliverFrom(attempt: Attempt, end: number): number | undefined;
  /** The order in which a reader visits partitions in its round `round`. */
  visitingOrder<T>(items: readonly T[], round: number): readonly T[];
}
