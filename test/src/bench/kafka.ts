/** The broker that measurements share: found or started when first asked for. */
import { type KafkaCluster, kafkaForTests } from '@rlhf-streams/kafka-broker';

export interface SharedKafka {
  /** As KAFKA_BROKERS takes it; undefined where none can be had. */
  brokers(): Promise<string | undefined>;
  stop(): Promise<void>;
}

export function sharedKafka(): SharedKafka {
  let cluster: Promise<KafkaCluster | undefined> | undefined;
  return {
    async brokers() {
      cluster ??= kafkaForTests();
      return (await cluster)?.brokers.join();
    },
    async stop() {
      await (await cluster)?.stop();
    },
  };
}
