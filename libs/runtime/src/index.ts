export { batched } from './batched.js';
export { pause, type RetryOptions, retry, withDeadline } from './deadline.js';
export { type DriveOptions, driveOwned } from './drive.js';
export { main, type ReadyMessage } from './entry.js';
export { RuntimeError, type RuntimeErrorCode } from './errors.js';
export type { ConsumeOptions, Consumer, HandlerContext } from './events/consume.js';
export {
  createEvents,
  type Events,
  type EventsOptions,
  type TransactionalEvents,
} from './events/events.js';
export type { FollowOptions, ReadAllOptions } from './events/follow.js';
export type { NewEvent } from './events/new-event.js';
export { advance, type Received } from './events/received.js';
export { topicSpecs } from './events/topics.js';
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
export { type LoadArtifactsOptions, type LoadedArtifacts, loadArtifacts } from './loaded-artifacts.js';
export { createLogger, type Logger, type LoggerOptions, type LogLevel } from './logger.js';
export { dataSettings } from './logs/embedded.js';
export { kafkaSettings } from './logs/kafka.js';
export { isMistake } from './mistakes.js';
export { artifactSettings, openArtifacts } from './open-artifacts.js';
export { type LogAdapterModule, logSettings, openLog } from './open-log.js';
export { createProjection, type Projection, type ProjectionOptions } from './projection.js';
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
export { isUnavailable, type UntilAvailableOptions, untilAvailable } from './unavailable.js';
export type { Waits } from './waits.js';
