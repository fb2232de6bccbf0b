import type { KafkaCluster } from './cluster.js';
import { whyNoDocker } from './docker/engine.js';
import { dockerHost } from './docker/host.js';
import { KafkaBrokerError } from './errors.js';
import { javaHost } from './java/host.js';
import { launchCluster } from './launch.js';
import { checkOptions, type KafkaOptions } from './options.js';

/**
 * Starts Apache Kafka, combined brokers and controllers in KRaft mode, and waits until every node answers and knows
 * the others. Topics are not created by use. The brokers end when this process does, however it ends.
 *
 * @throws KafkaBrokerError KAFKA_BROKER_INVALID, KAFKA_BROKER_UNAVAILABLE or KAFKA_BROKER_FAILED.
 * @example
 * const kafka = await startKafka({ nodes: 3 });
 * await kafka.nodes[0]?.kill();
 * await kafka.stop();
 */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaCluster> {
  checkOptions(options);
  if (options.source === 'java' || options.secure || options.directory !== undefined) {
    return launchCluster('java', await javaHost(options));
  }
  const withoutDocker = await whyNoDocker();
  if (withoutDocker === undefined) return launchCluster('docker', await dockerHost(options));
  if (options.source === 'docker') throw new KafkaBrokerError('KAFKA_BROKER_UNAVAILABLE', withoutDocker);
  const host = await javaHost(options).catch((error: unknown) => {
    throw error instanceof KafkaBrokerError && error.code === 'KAFKA_BROKER_UNAVAILABLE'
      ? new KafkaBrokerError(error.code, `${withoutDocker}; ${error.message}`, { cause: error })
      : error;
  });
  return launchCluster('java', host);
}
