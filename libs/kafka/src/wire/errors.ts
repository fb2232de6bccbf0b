/** What errors of brokers and connections mean for the request that met them. Each is given its meaning once, here. */
import { LogError, type LogErrorCode } from '@rlhf-streams/log';

export interface KafkaFault {
  /** Kafka's name of what a broker answered with, or Node's of what ended the connection. */
  readonly name: string | undefined;
  /** What the port calls it. */
  readonly code: LogErrorCode;
  /** The same request may succeed later. */
  readonly canRetry: boolean;
  /** Which part of what this client knows of the cluster may be out of date. */
  readonly stale: 'leaders' | 'coordinators' | 'everything' | 'nothing';
  /** The group forms a new generation, which the member must join. */
  readonly needsRejoin: boolean;
  /** The coordinator no longer knows this member, which must join as a new one. */
  readonly lostMembership: boolean;
  /** The broker forgot the producer id, or lost records it had acknowledged: the client goes on under a new id. */
  readonly lostProducerId: boolean;
  /** The offset asked for is before the earliest record kept, or past the end. */
  readonly outOfRange: boolean;
  /** The producer has no transaction to end. */
  readonly noTransaction: boolean;
}

type Meaning = Partial<Omit<KafkaFault, 'name'>>;

/** The broker was replaced as leader, or is not ready yet. */
const ofLeader: Meaning = { canRetry: true, stale: 'leaders' };
const ofCoordinator: Meaning = { canRetry: true, stale: 'coordinators' };
/** A newer producer with this transactional id took over, or the transaction timed out at the broker. */
const fenced: Meaning = { code: 'LOG_FENCED' };
const notAMember: Meaning = { code: 'LOG_REVOKED', lostMembership: true };
const denied: Meaning = { code: 'LOG_DENIED' };
const tooLarge: Meaning = { code: 'LOG_RECORD_TOO_LARGE' };

const MEANINGS: ReadonlyMap<string, Meaning> = new Map(
  Object.entries({
    NOT_LEADER_FOR_PARTITION: ofLeader,
    LEADER_NOT_AVAILABLE: ofLeader,
    PREFERRED_LEADER_NOT_AVAILABLE: ofLeader,
    REPLICA_NOT_AVAILABLE: ofLeader,
    BROKER_NOT_AVAILABLE: ofLeader,
    LISTENER_NOT_FOUND: ofLeader,
    NOT_CONTROLLER: ofLeader,
    NOT_ENOUGH_REPLICAS: ofLeader,
    NOT_ENOUGH_REPLICAS_AFTER_APPEND: ofLeader,
    FENCED_LEADER_EPOCH: ofLeader,
    UNKNOWN_LEADER_EPOCH: ofLeader,
    OFFSET_NOT_AVAILABLE: ofLeader,
    KAFKA_STORAGE_ERROR: ofLeader,
    REQUEST_TIMED_OUT: ofLeader,
    NETWORK_EXCEPTION: ofLeader,
    THROTTLING_QUOTA_EXCEEDED: ofLeader,
    // Requests are made only for topics that metadata have named, so this broker has yet to hear of the topic.
    UNKNOWN_TOPIC_OR_PARTITION: { ...ofLeader, code: 'LOG_UNKNOWN_TOPIC' },
    INVALID_TOPIC_EXCEPTION: { code: 'LOG_UNKNOWN_TOPIC' },
    OFFSET_OUT_OF_RANGE: { outOfRange: true },
    // Records of a compacted topic cannot be deleted.
    POLICY_VIOLATION: { code: 'LOG_INVALID' },

    NOT_COORDINATOR_FOR_GROUP: ofCoordinator,
    GROUP_COORDINATOR_NOT_AVAILABLE: ofCoordinator,
    GROUP_LOAD_IN_PROGRESS: ofCoordinator,

    REBALANCE_IN_PROGRESS: { needsRejoin: true },
    UNKNOWN_MEMBER_ID: notAMember,
    ILLEGAL_GENERATION: notAMember,
    FENCED_INSTANCE_ID: notAMember,
    FENCED_MEMBER_EPOCH: notAMember,
    STALE_MEMBER_EPOCH: notAMember,

    // The control records of the producer's last transaction are still being written.
    CONCURRENT_TRANSACTIONS: { canRetry: true },
    // A transaction that commits offsets of the group has not ended.
    UNSTABLE_OFFSET_COMMIT: { canRetry: true },
    INVALID_TXN_STATE: { noTransaction: true },
    PRODUCER_FENCED: fenced,
    INVALID_PRODUCER_EPOCH: { ...fenced, lostProducerId: true },
    INVALID_PRODUCER_ID_MAPPING: { ...fenced, lostProducerId: true },
    TRANSACTIONAL_ID_NOT_FOUND: fenced,
    TRANSACTION_COORDINATOR_FENCED: fenced,
    OUT_OF_ORDER_SEQUENCE_NUMBER: { lostProducerId: true },
    UNKNOWN_PRODUCER_ID: { lostProducerId: true },
    MESSAGE_TOO_LARGE: tooLarge,
    RECORD_LIST_TOO_LARGE: tooLarge,

    TOPIC_AUTHORIZATION_FAILED: denied,
    GROUP_AUTHORIZATION_FAILED: denied,
    CLUSTER_AUTHORIZATION_FAILED: denied,
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED: denied,
    SASL_AUTHENTICATION_FAILED: denied,
    ILLEGAL_SASL_STATE: denied,
    UNSUPPORTED_SASL_MECHANISM: denied,
    SECURITY_DISABLED: denied,
  } satisfies Record<string, Meaning>),
);

/** kafkajs's names of errors after which a connection may be made again. */
const LOST_CONNECTION = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSLockTimeout',
]);

/** Node's codes of connection errors that no waiting mends: untrusted certificates, and no TLS at the other end. */
const TLS_CODES =
  /^(CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|HOSTNAME_MISMATCH|ERR_TLS_CERT|ERR_SSL_.*(ALERT|CERT|VERSION|PACKET))/;

interface KafkaJsError extends Error {
  /** Kafka's name of the error, if a broker answered with one. */
  readonly type?: string;
  /** Node's name of the error, if the connection had one. */
  readonly code?: unknown;
  readonly cause?: unknown;
}

/** The first error of a chain of causes that a broker answered with, else the last. */
function deepest(error: unknown): KafkaJsError {
  let current = error as KafkaJsError;
  while (!current?.type && current?.cause && current.cause !== current)
    current = current.cause as KafkaJsError;
  return current ?? (error as KafkaJsError);
}

/** What `error` means, wherever in its chain of causes a broker's answer stands. */
export function faultOf(error: unknown): KafkaFault {
  const { type, code } = deepest(error);
  const name = type ?? (typeof code === 'string' ? code : undefined);
  const meaning = type === undefined ? ofConnection(error) : (MEANINGS.get(type) ?? {});
  return {
    name,
    code: 'LOG_WRITE_FAILED',
    canRetry: false,
    stale: 'nothing',
    needsRejoin: false,
    lostMembership: false,
    lostProducerId: false,
    outOfRange: false,
    noTransaction: false,
    ...meaning,
  };
}

function ofConnection(error: unknown): Meaning {
  const { name } = deepest(error);
  if (name === 'KafkaJSSASLAuthenticationError' || isTlsError(error)) return { code: 'LOG_DENIED' };
  return { code: 'LOG_UNAVAILABLE', canRetry: LOST_CONNECTION.has(name), stale: 'everything' };
}

function isTlsError(error: unknown): boolean {
  const { type, code } = deepest(error);
  return type === undefined && typeof code === 'string' && TLS_CODES.test(code);
}

/** The message of an error, and the name that Kafka, or Node, has for it. */
export function describe(error: unknown): string {
  const { name } = faultOf(error);
  return `${(error as Error).message}${name ? ` (${name})` : ''}`;
}

/** The error as the port names it; what neither Kafka nor its client raised stays as it is. */
export function toLogError(error: unknown, what: string): unknown {
  if (error instanceof LogError) return error;
  if (deepest(error).type === undefined && !(error as Error)?.name?.startsWith('KafkaJS')) return error;
  const hint = isTlsError(error) ? ' Check the certificates of tls.' : '';
  return new LogError(faultOf(error).code, `Kafka could not ${what}: ${describe(error)}${hint}`, {
    cause: error,
  });
}
