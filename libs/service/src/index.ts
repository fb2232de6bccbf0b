export { isLoopback } from './http/hosts.js';
export { requireJson } from './http/media-type.js';
export { type ApiDescription, type Http, jsonBody, jsonResponse, problemResponse } from './http/openapi.js';
export type { Probe, Readiness } from './http/operations.js';
export {
  type FieldError,
  invalidRequest,
  type ProblemDetails,
  ProblemError,
  problem,
} from './http/problem.js';
export type { OpenStreams } from './http/streams.js';
export type { ServiceEnd, ServiceState } from './life-cycle/life-cycle.js';
export { main, type ReadyMessage } from './life-cycle/main.js';
export {
  defineService,
  type RunningService,
  type ServiceContext,
  type ServiceDefinition,
  type StartOptions,
  startService,
} from './life-cycle/service.js';
export {
  describeSettings,
  type Environment,
  readSettings,
  type SettingDescription,
} from './settings/settings.js';
export { dataSettings, runtimeSettings } from './settings/shared.js';
export { kafkaSettings } from './storage/kafka.js';
export { artifactSettings, openArtifacts } from './storage/open-artifacts.js';
export { type LogAdapterModule, logSettings, openLog } from './storage/open-log.js';
export type { TemporaryFolders } from './storage/temporary.js';
export { runRetention, topicSettings, topicSpecsFor } from './storage/topic-specs.js';
export { createLogger, type LoggerOptions, type LogLevel } from './telemetry/logger.js';
export type { Telemetry } from './telemetry/port.js';
