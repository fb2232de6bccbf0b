export { MAX_RECORD_BYTES } from './core/checks.js';
export { partitionOf } from './core/murmur2.js';
export { type EmbeddedLogOptions, embeddedLog } from './embedded/index.js';
export { LogError, type LogErrorCode } from './errors.js';
export { type MemoryLogOptions, memoryLog } from './memory/index.js';
export { type OwnHandlers, type OwnOptions, own } from './own.js';
export type * from './port.js';
