export { followRun, type RunObserver, requestRun } from './follow-run.js';
export { type Platform, type PlatformOptions, type ServiceName, startPlatform } from './platform.js';
