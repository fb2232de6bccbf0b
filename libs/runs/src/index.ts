export { buildChangeText, isSameBuild } from './build.js';
export { DUPLICATE_PROMPT, HELD_OUT_SURPLUS } from './data-account.js';
export { RunError, type RunErrorCode } from './errors.js';
export type { OptimizerConfig } from './hyperparameters.js';
export { type Item, type Joined, joined } from './item.js';
export {
  type ComparisonItem,
  type DemonstrationItem,
  ITEMS_FILE,
  ITEMS_FORMAT,
  ITEMS_FORMAT_FILE,
  ItemsFormat,
  itemSchemas,
  type PromptItem,
} from './items-file.js';
export { ARTIFACT_TOPICS, type ArtifactEvent, liveArtifacts } from './live-artifacts.js';
export { type MethodDescription, methods } from './methods.js';
export type { NamedSource } from './named-sources.js';
export {
  type Change,
  type ReplayExtent,
  type ReplaySource,
  replayConfig,
  replayExtent,
  reproduces,
  stepsCompleted,
} from './replay.js';
export { artifactRoles, scorerName, scorersOf } from './roles.js';
export {
  type ConfigOf,
  type MethodName,
  namedSources,
  parseRunConfig,
  RunConfig,
  type RunConfigInput,
  runConfigMistakes,
  runsBuiltOn,
} from './run-config.js';
export { isMistake } from './run-mistakes.js';
export {
  applyRunEvent,
  hasEnded,
  isInUse,
  neverStarted,
  type RunStatus,
  type RunView,
  startedRun,
} from './runs.js';
export type { Setting } from './settings.js';
export { type ModelSource, NewModel } from './sources.js';
export {
  applyVersion,
  newestVersions,
  type PublishedModel,
  type PublishedVersion,
  publishedModel,
} from './versions.js';
export {
  itemsOf,
  type JoinedTopic,
  loggedBy,
  minPolicyVersion,
  replayed,
  stepsOf,
  type Work,
  workOf,
} from './work.js';
