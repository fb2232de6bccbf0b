/** What adapters are built from. Services know the port alone. */
export { warn } from '../errors.js';
export type { AdapterProducer, LogAdapter } from './adapter.js';
export { assign } from './assignment.js';
export { checkName, checkTopic, recordBytes } from './checks.js';
export type { PartitionSource } from './delivery.js';
export { createHoldings, revoked } from './holdings.js';
export { createLog } from './log.js';
export type { MemberOptions, ReadPlan } from './options.js';
export { partitionKey } from './partition-key.js';
export { creation, partitionChange, settingChanges, settingsOf } from './topic-changes.js';
