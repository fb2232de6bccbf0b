export { type AtReward, compareAtEqualReward, type EqualReward } from './equal-reward.js';
export { EvaluationError, type EvaluationErrorCode } from './errors.js';
export { type RolloutLogprobs, type SequenceKl, sequenceKl } from './kl.js';
export {
  type LengthControlledWinRate,
  type LengthedOutcome,
  lengthControlledWinRate,
} from './length-controlled.js';
export { hypervolume, paretoFront, type RewardKl } from './pareto.js';
export { type PolicyColumn, type PolicySummary, policyColumns } from './policies.js';
export type * from './report/report-data.js';
export { UNSHOWABLE } from './report/text.js';
export { correlation, type Estimate, meanEstimate } from './statistics.js';
export {
  type BothOrders,
  type Outcome,
  orderConsistency,
  reconcileOrders,
  type WinRate,
  winRate,
  winRateOf,
} from './win-rate.js';
