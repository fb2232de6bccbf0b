export { kafkaLog } from './kafka-log.js';
export type { KafkaLogOptions, KafkaSasl } from './options.js';
