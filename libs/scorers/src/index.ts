export type { Answer, Score, ScorerItem } from './answer.js';
export { combineScores, requireFinite, weighedSum } from './combine.js';
export { type Declarations, readDeclarations, scorerSettings } from './declarations.js';
export { type DeclaredScorers, openScorers, type ScorersOptions } from './declared.js';
export { ScorerError, type ScorerErrorCode } from './errors.js';
export type { Judge, PairJudgement, Preference } from './judge.js';
export { countsTokens, ruleScorer } from './rules.js';
