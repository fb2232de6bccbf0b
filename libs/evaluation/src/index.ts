export { EvaluationError, type EvaluationErrorCode } from './errors.js';
export * from './kl.js';
export * from './length-controlled.js';
export type { PolicySummary } from './policies.js';
export { renderReport } from './report/render-report.js';
export type * from './report/report-data.js';
export * from './statistics.js';
export { formatSamples, formatTable } from './table.js';
export * from './win-rate.js';
