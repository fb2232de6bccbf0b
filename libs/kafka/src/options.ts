import type { ConnectionOptions } from 'node:tls';
import { LogError } from '@rlhf-streams/log';

export interface KafkaLogOptions {
  /** `host:port` of some brokers: the others are learnt from them. */
  readonly brokers: readonly string[];
  /** Names this client in the brokers' logs and quotas. Default `rlhf-streams`. */
  readonly clientId?: string;
  /** Put before the names of topics, groups and transactional ids: several installations can share a cluster. */
  readonly prefix?: string;
  /** TLS as Node's `tls.connect` takes it (ca, cert, key, servername); true trusts the system's authorities. */
  readonly tls?: boolean | ConnectionOptions;
  readonly sasl?: KafkaSasl;
  /** Of what this client publishes; any of Kafka's codecs is read. Default `gzip`. */
  readonly compression?: 'none' | 'gzip';
  /** Copies of topics this client creates, where the topic names no number. Default the brokers' setting. */
  readonly replication?: number;
  /** A member that is silent so long has left: its partitions go to others. Default 10 s. */
  readonly sessionTimeoutMs?: number;
  /** Every call gives up with LOG_UNAVAILABLE after so long without a broker that answers. Default 2 min. */
  readonly deadlineMs?: number;
  /** Told what the client below does and tries again: for debugging. Default nobody. */
  readonly onDebug?: (message: string, details: Readonly<Record<string, unknown>>) => void;
}

const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;
const COMPRESSIONS = ['none', 'gzip'] as const;

export interface KafkaSasl {
  readonly mechanism: (typeof MECHANISMS)[number];
  readonly username: string;
  readonly password: string;
}

/** Every option, checked. */
export type KafkaSettings = Required<Omit<KafkaLogOptions, 'tls' | 'sasl' | 'replication' | 'onDebug'>> &
  Pick<KafkaLogOptions, 'onDebug'> & {
    readonly tls: ConnectionOptions | undefined;
    readonly sasl: KafkaSasl | undefined;
    /** -1: the brokers' default. */
    readonly replication: number;
    /** How often a member says that it lives. */
    readonly heartbeatMs: number;
    /** A member may take so long to come to a rebalance; handlers are not awaited in that time. */
    readonly rebalanceTimeoutMs: number;
    /** A transaction open so long is aborted by the broker. */
    readonly transactionTimeoutMs: number;
    /** What a topic's partitions are is asked again after so long. */
    readonly metadataMaxAgeMs: number;
  };

/** The longest time a timer of Node takes. */
const LONGEST_MS = 2 ** 31 - 1;

function invalid(option: string, expected: string, got: unknown): never {
  throw new LogError('LOG_INVALID', `${option} must be ${expected}; got ${String(got)}.`);
}

/** @throws LogError LOG_INVALID naming the option. */
export function kafkaSettings(options: KafkaLogOptions): KafkaSettings {
  const { brokers, prefix = '', compression = 'gzip', replication, tls, sasl } = options;
  const { sessionTimeoutMs = 10_000, deadlineMs = 120_000, onDebug } = options;
  if (brokers.length === 0 || brokers.some((broker) => !/^(\[[^\s,]+\]|[^\s,:]+):\d{1,5}$/.test(broker)))
    invalid('brokers', 'host:port, one at least', brokers.join(', '));
  if (!/^[A-Za-z0-9._-]*$/.test(prefix))
    invalid('prefix', 'letters, digits, ".", "_" and "-", as topic names are', prefix);
  for (const [name, value] of Object.entries({ sessionTimeoutMs, deadlineMs }))
    if (!(value > 0 && value <= LONGEST_MS)) invalid(name, `from 1 to ${LONGEST_MS}`, value);
  if (!COMPRESSIONS.includes(compression)) invalid('compression', COMPRESSIONS.join(' or '), compression);
  if (replication !== undefined && !(Number.isInteger(replication) && replication >= 1))
    invalid('replication', 'an integer of at least 1', replication);
  if (sasl && !MECHANISMS.includes(sasl.mechanism))
    invalid('sasl.mechanism', MECHANISMS.join(', '), sasl.mechanism);
  if (sasl && !(sasl.username && sasl.password)) invalid('sasl', 'a username and a password', 'not both');
  return {
    brokers,
    clientId: options.clientId ?? 'rlhf-streams',
    prefix,
    tls: tls === true ? {} : tls || undefined,
    sasl,
    compression,
    replication: replication ?? -1,
    sessionTimeoutMs,
    deadlineMs,
    ...(onDebug && { onDebug }),
    heartbeatMs: Math.min(3_000, sessionTimeoutMs / 4),
    rebalanceTimeoutMs: Math.max(30_000, sessionTimeoutMs),
    transactionTimeoutMs: 30_000,
    metadataMaxAgeMs: 5_000,
  };
}
