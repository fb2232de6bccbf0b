export type { Experiment } from './experiments/view.js';
export { asOwner } from './runs/admitted.js';
export type { StepMetrics } from './runs/progress.js';
export type { Run } from './runs/view.js';
export { gateway } from './service.js';
