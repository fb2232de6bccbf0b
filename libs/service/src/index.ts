export {
  type ComputeSettings,
  computeSettings,
  generationSettings,
  memoryLimit,
  memorySettings,
  trainingSettings,
} from './compute-settings.js';
export { main, type ReadyMessage } from './entry.js';
export { isLoopback } from './http/hosts.js';
export { expectJson } from './http/media-type.js';
export type { Probe, Readiness } from './http/operations.js';
export {
  type FieldError,
  invalidRequest,
  type ProblemDetails,
  ProblemError,
  problem,
  textProblem,
  validationHook,
} from './http/problem.js';
export type { OpenStreams } from './http/streams.js';
export { validated } from './http/validated.js';
export type { ServiceState } from './lifecycle.js';
export { createLogger, type LoggerOptions, type LogLevel } from './logger.js';
export { dataSettings } from './logs/embedded.js';
export { kafkaSettings } from './logs/kafka.js';
export { artifactSettings, openArtifacts } from './open-artifacts.js';
export { type LogAdapterModule, logSettings, openLog } from './open-log.js';
export {
  defineService,
  type RunningService,
  type ServiceContext,
  type ServiceDefinition,
  type ServiceEnd,
  type StartOptions,
  startService,
} from './service.js';
export {
  describeSettings,
  type Environment,
  readSettings,
  runtimeSettings,
  type SettingDescription,
} from './settings.js';
export { startThread } from './start-thread.js';
export { noTelemetry, type Telemetry } from './telemetry/port.js';
export { type TemporaryFolders, temporaryFolders } from './temporary.js';
export { topicSettings, topicSpecsFor } from './topics/specs.js';
