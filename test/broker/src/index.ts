export type { KafkaCluster, KafkaNode, KafkaSecurity } from './cluster.js';
export { KafkaBrokerError, type KafkaBrokerErrorCode } from './errors.js';
export { kafkaForTests, unlessUnavailable } from './for-tests.js';
export type { KafkaOptions } from './options.js';
export { startKafka } from './start.js';
