import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { messageOf, RuntimeError } from '@rlhf-streams/bus';
import { type KafkaLogOptions, kafkaLog } from '@rlhf-streams/kafka';
import type { EventLog } from '@rlhf-streams/log';
import { z } from 'zod';
import { type Environment, readSettings } from '../settings/settings.js';
import { runtimeSettings } from '../settings/shared.js';
import { createLogger } from '../telemetry/logger.js';

export const kafkaSettings = z
  .object({
    KAFKA_BROKERS: z
      .string()
      .transform((list) => list.split(',').map((broker) => broker.trim()))
      .optional()
      .describe(
        'host:port of some brokers, separated by commas: the others are found by them; with it the log is Kafka, and services may run on several machines',
      ),
    KAFKA_CLIENT_ID: z
      .string()
      .optional()
      .meta({ defaultInWords: 'rlhf-streams' })
      .describe("this client's name in the brokers' logs and quotas"),
    KAFKA_PREFIX: z
      .string()
      .default('')
      .describe(
        'put before the names of topics, consumer groups and transactional ids, so that installations can share a cluster; with another one, services see none of the earlier events',
      ),
    KAFKA_TLS: z
      .stringbool()
      .default(false)
      .meta({ defaultInWords: 'false' })
      .describe(
        'whether to connect with TLS; without it, passwords and texts cross the network in the clear',
      ),
    KAFKA_TLS_CA_FILE: z
      .string()
      .optional()
      .meta({ defaultInWords: "Node's authorities" })
      .describe("PEM file of the brokers' certificate authority; brokers of another one are refused"),
    KAFKA_TLS_CERT_FILE: z
      .string()
      .optional()
      .describe("PEM file of this client's certificate, where brokers ask for one (mutual TLS)"),
    KAFKA_TLS_KEY_FILE: z.string().optional().describe("PEM file of that certificate's key"),
    KAFKA_SASL_MECHANISM: z
      .enum(['plain', 'scram-sha-256', 'scram-sha-512'])
      .optional()
      .describe(
        'how to log in; needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, and, with plain, TLS to be safe',
      ),
    KAFKA_SASL_USERNAME: z.string().optional().describe('user name to log in with'),
    KAFKA_SASL_PASSWORD: z.string().optional().describe('password to log in with'),
    KAFKA_COMPRESSION: z
      .enum(['none', 'gzip'])
      .default('gzip')
      .describe(
        'codec of what is published; none costs the brokers more disk and network, and the services less CPU',
      ),
    KAFKA_SESSION_TIMEOUT_MS: z.coerce
      .number()
      .int()
      .min(500)
      .default(10_000)
      .describe(
        'milliseconds of silence after which a service counts as dead and its work goes to others; less than a pause of the machine moves work for nothing',
      ),
    KAFKA_DEADLINE_MS: z.coerce
      .number()
      .int()
      .min(1_000)
      .default(120_000)
      .describe(
        'milliseconds without a broker that answers after which a call gives up with LOG_UNAVAILABLE; a service that is up waits on',
      ),
  })
  .refine((s) => !s.KAFKA_SASL_MECHANISM || (s.KAFKA_SASL_USERNAME && s.KAFKA_SASL_PASSWORD), {
    path: ['KAFKA_SASL_MECHANISM'],
    error: 'expected KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD beside it',
  });

/** @throws RuntimeError RUNTIME_SETTINGS; LogError LOG_UNAVAILABLE, LOG_DENIED when no broker lets this client in. */
export async function openKafkaLog(environment: Environment): Promise<EventLog> {
  const [settings, { LOG_LEVEL }] = readSettings(environment, kafkaSettings, runtimeSettings);
  if (!settings.KAFKA_BROKERS)
    throw new RuntimeError(
      'RUNTIME_SETTINGS',
      'expected KAFKA_BROKERS to name brokers as host:port, got nothing',
    );
  const logger = createLogger({ level: LOG_LEVEL });
  const { KAFKA_TLS, KAFKA_SASL_MECHANISM: mechanism, KAFKA_CLIENT_ID: clientId } = settings;
  const options: KafkaLogOptions = {
    brokers: settings.KAFKA_BROKERS,
    prefix: settings.KAFKA_PREFIX,
    compression: settings.KAFKA_COMPRESSION,
    sessionTimeoutMs: settings.KAFKA_SESSION_TIMEOUT_MS,
    deadlineMs: settings.KAFKA_DEADLINE_MS,
    onDebug: (message, details) => logger.debug(details, message),
    ...(clientId && { clientId }),
    ...(KAFKA_TLS && { tls: await readTls(settings) }),
    ...(mechanism && {
      sasl: { mechanism, username: settings.KAFKA_SASL_USERNAME!, password: settings.KAFKA_SASL_PASSWORD! },
    }),
  };
  return kafkaLog(options);
}

type TlsFiles = Pick<
  z.output<typeof kafkaSettings>,
  'KAFKA_TLS_CA_FILE' | 'KAFKA_TLS_CERT_FILE' | 'KAFKA_TLS_KEY_FILE'
>;

async function readTls(files: TlsFiles) {
  const read = async (name: keyof TlsFiles) => {
    const path = files[name];
    if (!path) return undefined;
    return readFile(path, 'utf8').catch((cause) => {
      throw new RuntimeError(
        'RUNTIME_SETTINGS',
        `expected ${name} to be a readable file, got ${resolve(path)}: ${messageOf(cause)}`,
        {
          cause,
        },
      );
    });
  };
  const [ca, cert, key] = await Promise.all([
    read('KAFKA_TLS_CA_FILE'),
    read('KAFKA_TLS_CERT_FILE'),
    read('KAFKA_TLS_KEY_FILE'),
  ]);
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}
