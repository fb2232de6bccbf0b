export { type BestModel, bestModel, isMeasuredAfter, keepBestOf } from './best.js';
export { buildChangeText, isSameBuild } from './build.js';
export { type MethodDescription, methodDescriptions } from './descriptions.js';
export { earlierStreams } from './earlier-steps.js';
export { isMistake, RunError, type RunErrorCode } from './errors.js';
export {
  Experiment,
  type ExperimentInput,
  experimentMistakes,
  parseExperiment,
  sourcePath,
} from './experiment.js';
export {
  type ComparisonItem,
  type DemonstrationItem,
  DUPLICATE_PROMPT,
  formatOf,
  HELD_OUT_SURPLUS,
  ITEMS_FILE,
  ITEMS_FORMAT,
  ITEMS_FORMAT_FILE,
  ItemsFormat,
  itemSchemas,
  type PromptItem,
  type RunItem,
  type ThumbItem,
} from './items.js';
export { ARTIFACT_TOPICS, type ArtifactEvent, liveArtifacts } from './live-artifacts.js';
export { MOST_COMPLETIONS } from './methods/dataset.js';
export { isReferenceFree } from './methods/dpo-family.js';
export { MOST_STEPS } from './methods/every-run.js';
export {
  type ConfigOf,
  dataSpecOf,
  datasetNames,
  type MethodName,
  methodNames,
  methods,
  type RunSpec,
  specOf,
} from './methods/index.js';
export type { OptimizerConfig } from './methods/optimizer.js';
export type {
  DataSpec,
  DatasetSpec,
  JoinedTopic,
  MethodSpec,
  ModelRole,
  Plan,
  PromptsSpec,
  ShownMetric,
  StreamSpec,
  TrainedModel,
} from './methods/spec.js';
export { inWords as mistakesInWords, type Mistake } from './mistakes.js';
export {
  artifactRoles,
  type NamedModel,
  namedModels,
  onlyMeasures,
  trainsWhole,
} from './named-models.js';
export type { NamedSource } from './named-sources.js';
export { NewModel } from './new-model.js';
export {
  type Change,
  type ReplayExtent,
  type ReplaySource,
  replayConfig,
  replayExtent,
  reproduces,
  stepsCompleted,
} from './replay.js';
export {
  namedSources,
  parseRunConfig,
  RunConfig,
  type RunConfigInput,
  runConfigMistakes,
  runsBuiltOn,
} from './run-config.js';
export {
  applyRunEvent,
  hasEnded,
  isArchived,
  isInUse,
  neverStarted,
  type RunArchive,
  type RunView,
  readRuns,
  requestedConfig,
  runStatuses,
  startedRun,
  stepsAt,
  stepsOf,
} from './runs.js';
export { differences, sameRun } from './same-run.js';
export type { Ensemble, Rule } from './scorer-schemas.js';
export { declaredScorers, type RunScorer, type SourceScorer, scorersOf } from './scorers.js';
export type { Setting } from './settings.js';
export {
  type DataOrigin,
  type FromPath,
  type FromRun,
  type ModelOrigin,
  parseSource,
  pathsOf,
  runName,
  type ScorerOrigin,
  type Source,
  type SourceKind,
  sourceText,
  withPaths,
} from './sources.js';
export {
  type IssuedStep,
  type Item,
  idsOf,
  type Joined,
  joined,
  loggedBy,
  replayed,
  rowsOf,
  type StreamIds,
  trainingSteps,
} from './steps.js';
export { stopReason } from './stopping.js';
export {
  applyVersion,
  newestVersions,
  type PublishedModel,
  type PublishedVersion,
  publishedModel,
} from './versions.js';
export { warningsOf, warningText } from './warnings.js';
