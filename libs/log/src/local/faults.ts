import type { TopicPartition } from '../port.js';

/** One attempt at one batch: `attempt` counts from 0 at each new `offset`. */
export interface Attempt extends TopicPartition {
  readonly group: string;
  readonly offset: number;
  readonly attempt: number;
}

/** What a test may make go wrong in delivery. Consumers of a real broker may meet all of it. */
export interface DeliveryFaults {
  /** Awaited before each delivery. */
  beforeDelivery(attempt: Attempt): Promise<void>;
  /** After the handler succeeded: the offset to deliver from again, or undefined for no fault. The batch ends before `end`. */
  redeliverFrom(attempt: Attempt, end: number): number | undefined;
  /** The order in which a reader visits partitions in its round `round`. */
  visitingOrder<T>(items: readonly T[], round: number): readonly T[];
}
