export type { Answer, Score, ScorerItem } from './answer.js';
export { combineScores, requireFinite, weighedSum } from './combine.js';
export { ScorerError, type ScorerErrorCode } from './errors.js';
export { countsTokens, ruleScorer } from './rules.js';
