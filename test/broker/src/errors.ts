/**
 * What went wrong, for code to branch on:
 * - `KAFKA_BROKER_INVALID`: an option, or a data folder, that no cluster can be started from.
 * - `KAFKA_BROKER_UNAVAILABLE`: this machine has nothing to run a broker with, or `KAFKA_BROKERS` does not answer.
 * - `KAFKA_BROKER_FAILED`: a broker that did not start, or did not end.
 * - `KAFKA_BROKER_STOPPED`: a node of a cluster that was stopped cannot be started.
 */
export type KafkaBrokerErrorCode =
  | 'KAFKA_BROKER_INVALID'
  | 'KAFKA_BROKER_UNAVAILABLE'
  | 'KAFKA_BROKER_FAILED'
  | 'KAFKA_BROKER_STOPPED';

/** A broker that cannot be had. */
export class KafkaBrokerError extends Error {
  override readonly name = 'KafkaBrokerError';
  readonly code: KafkaBrokerErrorCode;

  constructor(code: KafkaBrokerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
