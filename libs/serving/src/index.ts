export { answerEvents } from './answer-events.js';
export { type ComputeThreads, startComputeThreads, startThread } from './compute-threads.js';
export { eachText } from './each-text.js';
export { modelFolders, tokenizerIn } from './model-folders.js';
export { createModelHost, type ModelFiles, type ModelHost, type Pin } from './model-host.js';
export { type SequenceScorer, startScoring } from './scoring.js';
export {
  type ComputeSettings,
  computeSettings,
  type EngineChoice,
  engineChoice,
  engineInWords,
  generationSettings,
  memoryLimit,
  memorySettings,
  policyThreads,
  type ScoringSettings,
  scoringSettings,
  scoringThreads,
  trainingSettings,
} from './settings.js';
