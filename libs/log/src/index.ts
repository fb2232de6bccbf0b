export { type EmbeddedLogOptions, embeddedLog } from './embedded/index.js';
export { LogError, type LogErrorCode } from './errors.js';
export { type KafkaLogOptions, type KafkaSasl, kafkaLog } from './kafka/index.js';
export { type MemoryLogOptions, memoryLog } from './memory/index.js';
export { partitionOf } from './murmur2.js';
export { type OwnHandlers, type OwnOptions, own } from './ownership.js';
export type * from './port.js';
export { MAX_RECORD_BYTES } from './validate.js';
