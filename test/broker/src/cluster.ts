/** What a caller gets, whatever runs the brokers, and what a host that runs them can do. */

export interface KafkaCluster {
  /** Addresses for a client's bootstrap list, as host:port. */
  readonly brokers: string[];
  /** Where the brokers run; `environment`: somebody else's, named by `KAFKA_BROKERS`. */
  readonly source: 'environment' | 'docker' | 'java';
  /** In the order of their ids (1, 2, ...). Empty for `environment`: those are not ours to kill. */
  readonly nodes: readonly KafkaNode[];
  /** Of a secure cluster: what clients need. */
  readonly security?: KafkaSecurity;
  /** Ends the brokers and removes all they left, except a `directory` that was asked for. Idempotent. */
  stop(): Promise<void>;
}

/** One combined broker and controller. */
export interface KafkaNode {
  readonly id: number;
  /** host:port, the same over its whole life. */
  readonly address: string;
  /** Ends it at once (SIGKILL); its data stay. Resolves when it is dead; without effect on a dead one. */
  kill(): Promise<void>;
  /**
   * Starts it again, with the same port and data; without effect on a live one. Resolves when it answers and knows
   * every other live node. Without a majority of live nodes none of them can answer: start those together.
   * @throws KafkaBrokerError KAFKA_BROKER_FAILED with the end of its log; KAFKA_BROKER_STOPPED.
   */
  start(): Promise<void>;
}

/** Clients connect with TLS and SASL (PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512) as this user. */
export interface KafkaSecurity {
  /** The certificate to trust, PEM. */
  readonly ca: string;
  /** A file with the same certificate, for other programs; removed by `stop`. */
  readonly caFile: string;
  readonly username: string;
  readonly password: string;
}

/** What runs brokers: processes or containers. */
export interface BrokerHost {
  readonly brokers: readonly HostedBroker[];
  readonly security?: KafkaSecurity;
  /** Ends all of them and removes what they left. */
  remove(): Promise<void>;
}

export interface HostedBroker {
  readonly id: number;
  readonly address: string;
  launch(): Promise<void>;
  kill(): Promise<void>;
  running(): Promise<boolean>;
  /** The end of what it logged. */
  log(): Promise<string>;
}
