export { EvaluationError, type EvaluationErrorCode } from './errors.js';
export * from './kl.js';
export * from './length-controlled.js';
export { type PolicyColumn, type PolicySummary, policyColumns } from './policies.js';
export type * from './report/report-data.js';
export { UNSHOWABLE } from './report/text.js';
export * from './statistics.js';
export * from './win-rate.js';
