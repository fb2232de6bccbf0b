import type { ConnectionOptions } from 'node:tls';
import { LogError } from '@rlhf-streams/log';
import { FOREVER_MS } from '@rlhf-streams/waiting';

export interface KafkaLogOptions {
  /** `host:port` of some brokers; they name the others. */
  readonly brokers: readonly string[];
  /** Names this client in the brokers' logs and quotas. Default `rlhf-streams`. */
  readonly clientId?: string;
  /** Stands before the names of topics, groups and transactional ids, so that installations can share a cluster. */
  readonly prefix?: string;
  /** TLS as Node's `tls.connect` takes it (ca, cert, key, servername); true trusts the system's authorities. */
  readonly tls?: boolean | ConnectionOptions;
  readonly sasl?: KafkaSasl;
  /** The codec of what this client publishes; it reads all of Kafka's codecs. Default `gzip`. */
  readonly compression?: 'none' | 'gzip';
  /** The replication factor of topics that this client creates and that name none. Default the brokers' setting. */
  readonly replication?: number;
  /** Milliseconds without a heartbeat after which a member has left, and its partitions go to others. Default 10 000. */
  readonly sessionTimeoutMs?: number;
  /** Milliseconds after which a call that no broker answers fails with LOG_UNAVAILABLE. Default 120 000. */
  readonly deadlineMs?: number;
  /** Hears of every request and every retry, for debugging. Default nobody. */
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
    /** Milliseconds between two heartbeats of a member. */
    readonly heartbeatMs: number;
    /** Milliseconds that the group waits for a member to join its next generation; handlers are not awaited in them. */
    readonly rebalanceTimeoutMs: number;
    /** Milliseconds after which the broker aborts an open transaction. */
    readonly transactionTimeoutMs: number;
    /** Milliseconds after which a topic's metadata are asked for anew. */
    readonly metadataMaxAgeMs: number;
  };

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
    if (!(value > 0 && value <= FOREVER_MS)) invalid(name, `from 1 to ${FOREVER_MS}`, value);
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
