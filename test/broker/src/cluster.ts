/** A cluster as its user sees it, whatever runs the brokers; and what a host that runs them must be able to do. */

export interface KafkaCluster {
  /** Addresses for a client's bootstrap list, as host:port. */
  readonly brokers: string[];
  /** What runs the brokers. With `environment` they are somebody else's, named by `KAFKA_BROKERS`. */
  readonly source: 'environment' | 'docker' | 'java';
  /** In the order of their ids (1, 2, ...). Empty with `environment`: those brokers are not to be killed here. */
  readonly nodes: readonly KafkaNode[];
  /** What clients of a secure cluster need. */
  readonly security?: KafkaSecurity;
  /** Ends the brokers and removes all they left, except a `directory` that was asked for. Idempotent. */
  stop(): Promise<void>;
}

/** One combined broker and controller. */
export interface KafkaNode {
  readonly id: number;
  /** host:port, which does not change when it is started again. */
  readonly address: string;
  /** Ends it with SIGKILL, and resolves when it is dead; its data stay. Has no effect on a dead node. */
  kill(): Promise<void>;
  /**
   * Starts it again with the same port and data, and resolves when it answers and knows every other live node. Has no
   * effect on a live node. A cluster without a majority of live nodes cannot answer, so those are started together.
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
