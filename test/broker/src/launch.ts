import type { BrokerHost, HostedBroker, KafkaCluster } from './cluster.js';
import { KafkaBrokerError } from './errors.js';
import { untilReady } from './ready.js';
import { whenAll } from './when-all.js';

/** Launches the brokers and waits until all answer. When one fails, all are removed. */
export async function launchCluster(source: 'docker' | 'java', host: BrokerHost): Promise<KafkaCluster> {
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= host.remove();
    return stopped;
  };

  const start = async (broker: HostedBroker) => {
    if (stopped) throw hasStopped(broker);
    try {
      if (await broker.running()) return;
      await broker.launch();
      await untilReady(broker, host);
    } catch (error) {
      throw stopped ? hasStopped(broker, error) : error;
    }
  };

  try {
    await whenAll(host.brokers.map((broker) => broker.launch()));
    await Promise.all(host.brokers.map((broker) => untilReady(broker, host)));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    source,
    brokers: host.brokers.map(({ address }) => address),
    nodes: host.brokers.map((broker) => ({
      id: broker.id,
      address: broker.address,
      kill: async () => {
        if (!stopped) await broker.kill();
      },
      start: () => start(broker),
    })),
    ...(host.security && { security: host.security }),
    stop,
  };
}

const hasStopped = ({ id }: HostedBroker, cause?: unknown) =>
  new KafkaBrokerError('KAFKA_BROKER_STOPPED', `node ${id}: its cluster was stopped`, { cause });
