/** What kafkajs throws, in terms of the port: may it be tried again, and what it is called if not. */
import { LogError, type LogErrorCode } from '../errors.js';

interface KafkaJsError extends Error {
  /** Of errors a broker answered with: Kafka's name of it. */
  readonly type?: string;
  /** Of errors of the connection: Node's name of it. */
  readonly code?: unknown;
  readonly cause?: unknown;
}

/** Kafka's name of the error, if a broker answered with one. */
export const kafkaType = (error: unknown): string | undefined => deepest(error).type;

/** The first error of a chain that a broker answered with, else the last. */
function deepest(error: unknown): KafkaJsError {
  let current = error as KafkaJsError;
  while (!current?.type && current?.cause && current.cause !== current)
    current = current.cause as KafkaJsError;
  return current ?? (error as KafkaJsError);
}

/** A newer producer with this transactional id, or the broker's transaction timeout, ended this one. */
const FENCED = new Set([
  'INVALID_PRODUCER_EPOCH',
  'PRODUCER_FENCED',
  'INVALID_PRODUCER_ID_MAPPING',
  'TRANSACTIONAL_ID_NOT_FOUND',
  'TRANSACTION_COORDINATOR_FENCED',
]);

/** A member of a group that the coordinator no longer counts among it. */
const NOT_A_MEMBER = new Set([
  'UNKNOWN_MEMBER_ID',
  'ILLEGAL_GENERATION',
  'FENCED_INSTANCE_ID',
  'FENCED_MEMBER_EPOCH',
  'STALE_MEMBER_EPOCH',
]);

const DENIED = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
  'ILLEGAL_SASL_STATE',
  'UNSUPPORTED_SASL_MECHANISM',
  'SECURITY_DISABLED',
]);

/** A broker that answers so has moved on, or is about to be ready: ask for metadata and coordinators anew. */
const PASSING = new Set([
  'NOT_COORDINATOR_FOR_GROUP',
  'NOT_COORDINATOR',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'COORDINATOR_NOT_AVAILABLE',
  'GROUP_LOAD_IN_PROGRESS',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'CONCURRENT_TRANSACTIONS',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'REPLICA_NOT_AVAILABLE',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'REQUEST_TIMED_OUT',
  'NETWORK_EXCEPTION',
  'OFFSET_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'KAFKA_STORAGE_ERROR',
  'PREFERRED_LEADER_NOT_AVAILABLE',
  'UNSTABLE_OFFSET_COMMIT',
  'NOT_CONTROLLER',
  'BROKER_NOT_AVAILABLE',
  'LISTENER_NOT_FOUND',
  'THROTTLING_QUOTA_EXCEEDED',
  // Of topics that the metadata have: what is not among those does not get as far as a request.
  'UNKNOWN_TOPIC_OR_PARTITION',
]);

const UNKNOWN = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'INVALID_TOPIC_EXCEPTION']);
const TOO_LARGE = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']);

const CONNECTION_NAMES = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSLockTimeout',
]);

/** Codes of connection errors that no waiting mends: certificates not trusted, and no TLS at the other end. */
const TLS_CODES =
  /^(CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|HOSTNAME_MISMATCH|ERR_TLS_CERT|ERR_SSL_.*(ALERT|CERT|VERSION|PACKET))/;

export const isFenced = (error: unknown): boolean => FENCED.has(kafkaType(error) ?? '');
export const isNotAMember = (error: unknown): boolean => NOT_A_MEMBER.has(kafkaType(error) ?? '');
export const isRebalancing = (error: unknown): boolean => kafkaType(error) === 'REBALANCE_IN_PROGRESS';

/** Whether the same request may succeed later. */
export function isPassing(error: unknown): boolean {
  const { type, name } = deepest(error);
  return type === undefined ? CONNECTION_NAMES.has(name) && !isTlsError(error) : PASSING.has(type);
}

function isTlsError(error: unknown): boolean {
  const { code } = deepest(error);
  return typeof code === 'string' && TLS_CODES.test(code);
}

/** Its message, and the name that Kafka, or Node, has for it. */
export function textOf(error: unknown): string {
  const { type, code } = deepest(error);
  const name = type ?? (typeof code === 'string' ? code : undefined);
  return `${(error as Error).message}${name ? ` (${name})` : ''}`;
}

/** The error as the port names it; what neither Kafka nor its client raised stays as it is. */
export function toLogError(error: unknown, what: string): unknown {
  if (error instanceof LogError) return error;
  if (kafkaType(error) === undefined && !(error as Error)?.name?.startsWith('KafkaJS')) return error;
  const hint = isTlsError(error) ? ' Check the certificates of tls.' : '';
  return new LogError(codeOf(error), `Kafka could not ${what}: ${textOf(error)}${hint}`, { cause: error });
}

function codeOf(error: unknown): LogErrorCode {
  const { type, name } = deepest(error);
  if (name === 'KafkaJSSASLAuthenticationError' || isTlsError(error)) return 'LOG_DENIED';
  if (type === undefined) return 'LOG_UNAVAILABLE';
  if (DENIED.has(type)) return 'LOG_DENIED';
  if (FENCED.has(type)) return 'LOG_FENCED';
  if (NOT_A_MEMBER.has(type)) return 'LOG_REVOKED';
  if (UNKNOWN.has(type)) return 'LOG_UNKNOWN_TOPIC';
  if (TOO_LARGE.has(type)) return 'LOG_RECORD_TOO_LARGE';
  return 'LOG_WRITE_FAILED';
}
