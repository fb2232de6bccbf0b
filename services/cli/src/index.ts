export { type Client, type ClientOptions, openClient } from './client.js';
export { followRun, type RunObserver, requestRun } from './follow-run.js';
export { type Platform, type PlatformOptions, startPlatform } from './platform.js';
export { type Processes, type ProcessesOptions, startProcesses } from './processes/processes.js';
export type { Supervised } from './processes/supervised.js';
export type { ServiceName } from './service-names.js';
