export { type Client, type ClientOptions, openClient } from './place/client.js';
export { type Platform, type PlatformOptions, startPlatform } from './place/platform.js';
export { type Processes, type ProcessesOptions, startProcesses } from './place/processes.js';
export type { ServiceName } from './place/services.js';
export type { Supervised } from './place/supervised.js';
export { followRun, type RunObserver } from './runs/follow-run.js';
export { extendRun, requestExperiment, requestRun } from './runs/request-run.js';
