export { type Agreement, agreement, fleissKappa } from './agreement.js';
export { type BootstrapOptions, bootstrapMean, type Interval, pairedDifference } from './bootstrap.js';
export { bundledSet } from './bundled-sets.js';
export { type ChoiceScores, choicesOf, type JudgedChoices, scoreChoices } from './choices.js';
export { csvOf } from './csv.js';
export { type AtReward, compareAtEqualReward, type EqualReward } from './equal-reward.js';
export { EvaluationError, type EvaluationErrorCode } from './errors.js';
export { type RolloutLogprobs, type SequenceKl, sequenceKl } from './kl.js';
export { comparisonsOf } from './labels/comparisons.js';
export type { Label } from './labels/label.js';
export { heldOutAgreements, labelerAgreements } from './labels/label-agreement.js';
export { measureLabels } from './labels/measure-labels.js';
export { readLabels } from './labels/read-labels.js';
export { type LabelResults, labelsCsv, labelTables } from './labels/results.js';
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
export { evaluationCsv } from './suites/csv.js';
export type * from './suites/evaluation.js';
export { differences, type MeasureOptions, measure, type Observation } from './suites/measure.js';
export { evaluationTables, type TextTable } from './suites/tables.js';
export { type JudgedPair, judgeAgreements, measureWins } from './suites/win-rates.js';
export {
  type BothOrders,
  type Outcome,
  orderConsistency,
  reconcileOrders,
  type WinRate,
  winRate,
  winRateOf,
} from './win-rate.js';
export { type WrittenEstimate, writeEstimates } from './written.js';
