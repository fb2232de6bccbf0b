/** The part of kafkajs's broker that is used here: requests and their answers. Offsets are decimal strings. */

/** Partition numbers by topic. */
export type Partitions = Readonly<Record<string, readonly number[]>>;

export interface PartitionMetadata {
  readonly partitionId: number;
  /** The node id; -1 while there is no leader. */
  readonly leader: number;
  readonly replicas: readonly number[];
}

export interface ClusterMetadata {
  readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[];
  readonly controllerId: number;
  readonly topicMetadata: readonly {
    readonly topic: string;
    readonly topicErrorCode: number;
    readonly partitionMetadata: readonly PartitionMetadata[];
  }[];
}

export type ByTopic<Partition> = readonly {
  readonly topic: string;
  readonly partitions: readonly Partition[];
}[];

export interface Message {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

export interface FetchedMessage {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | null | readonly (Buffer | null)[]>>;
}

export interface FetchedBatch {
  readonly firstOffset: string;
  /** Distance from the first offset to that of the last record the batch ever had, which compaction may have removed. */
  readonly lastOffsetDelta: number;
  readonly producerId: string;
  readonly inTransaction: boolean;
  /** Holds a control record, which ends a transaction, and no records of a producer. */
  readonly isControlBatch: boolean;
  readonly records: readonly FetchedMessage[];
}

export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly error?: unknown;
  /** Every transaction that began before this offset has ended, so readers of committed records see up to it. */
  readonly lastStableOffset: number;
  readonly abortedTransactions: readonly { readonly producerId: string; readonly firstOffset: number }[];
  readonly batches: readonly FetchedBatch[];
}

export interface ProducerIdentity {
  readonly transactionalId?: string | undefined;
  readonly producerId: string;
  readonly producerEpoch: number;
}

export interface Broker {
  /** The API versions that the broker has; null until this client connected to it once. */
  readonly versions: unknown;
  readonly brokerAddress: string;
  /** Its connections; a request opens the one it needs. */
  readonly connectionPool: {
    send<Decoded, Answer>(exchange: {
      readonly request: unknown;
      readonly response: {
        decode(bytes: Buffer): Promise<Decoded>;
        parse(decoded: Decoded): Promise<Answer>;
      };
    }): Promise<Answer>;
  };
  isConnected(): boolean;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  findGroupCoordinator(of: { readonly groupId: string; readonly coordinatorType: number }): Promise<{
    readonly coordinator: { readonly nodeId: number; readonly host: string; readonly port: number };
  }>;
  produce(
    request: Partial<ProducerIdentity> & {
      readonly acks: number;
      readonly timeout: number;
      readonly compression: number;
      readonly topicData: ByTopic<{
        readonly partition: number;
        readonly firstSequence: number;
        readonly messages: readonly Message[];
      }>;
    },
  ): Promise<{
    readonly topics: readonly {
      readonly topicName: string;
      readonly partitions: readonly { readonly partition: number; readonly baseOffset: string }[];
    }[];
  }>;
  listOffsets(request: {
    readonly replicaId: number;
    readonly isolationLevel: number;
    readonly topics: ByTopic<{ readonly partition: number; readonly timestamp: number }>;
  }): Promise<{
    readonly responses: ByTopic<{ readonly partition: number; readonly offset: string }>;
  }>;
  joinGroup(request: {
    readonly groupId: string;
    readonly memberId: string;
    readonly sessionTimeout: number;
    readonly rebalanceTimeout: number;
    readonly groupProtocols: readonly { readonly name: string; readonly metadata: Buffer }[];
  }): Promise<{
    readonly generationId: number;
    readonly leaderId: string;
    readonly memberId: string;
    readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[];
  }>;
  syncGroup(request: {
    readonly groupId: string;
    readonly generationId: number;
    readonly memberId: string;
    readonly groupAssignment: readonly { readonly memberId: string; readonly memberAssignment: Buffer }[];
  }): Promise<{ readonly memberAssignment: Buffer }>;
  heartbeat(request: {
    readonly groupId: string;
    readonly groupGenerationId: number;
    readonly memberId: string;
  }): Promise<unknown>;
  leaveGroup(request: { readonly groupId: string; readonly memberId: string }): Promise<unknown>;
  offsetCommit(request: {
    readonly groupId: string;
    readonly groupGenerationId: number;
    readonly memberId: string;
    readonly topics: ByTopic<{ readonly partition: number; readonly offset: string }>;
  }): Promise<unknown>;
  initProducerId(request: {
    readonly transactionalId: string | undefined;
    readonly transactionTimeout: number;
  }): Promise<{ readonly producerId: string; readonly producerEpoch: number }>;
  addPartitionsToTxn(
    request: ProducerIdentity & {
      readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[];
    },
  ): Promise<unknown>;
  addOffsetsToTxn(request: ProducerIdentity & { readonly groupId: string }): Promise<unknown>;
  txnOffsetCommit(
    request: ProducerIdentity & {
      readonly groupId: string;
      readonly topics: ByTopic<{ readonly partition: number; readonly offset: string }>;
    },
  ): Promise<unknown>;
  endTxn(request: ProducerIdentity & { readonly transactionResult: boolean }): Promise<unknown>;
  createTopics(request: {
    readonly timeout: number;
    readonly topics: readonly {
      readonly topic: string;
      readonly numPartitions: number;
      readonly replicationFactor: number;
      readonly configEntries: readonly { readonly name: string; readonly value: string }[];
    }[];
  }): Promise<unknown>;
  createPartitions(request: {
    readonly timeout: number;
    readonly topicPartitions: readonly { readonly topic: string; readonly count: number }[];
  }): Promise<unknown>;
  deleteRecords(request: {
    readonly topics: ByTopic<{ readonly partition: number; readonly offset: string }>;
  }): Promise<unknown>;
  describeConfigs(request: {
    readonly resources: readonly {
      readonly type: number;
      readonly name: string;
      readonly configNames: readonly string[];
    }[];
  }): Promise<{
    readonly resources: readonly {
      readonly resourceName: string;
      readonly configEntries: readonly {
        readonly configName: string;
        readonly configValue: string;
        readonly isDefault: boolean;
        readonly configSource: number;
      }[];
    }[];
  }>;
  alterConfigs(request: {
    readonly resources: readonly {
      readonly type: number;
      readonly name: string;
      readonly configEntries: readonly { readonly name: string; readonly value: string }[];
    }[];
  }): Promise<unknown>;
}
