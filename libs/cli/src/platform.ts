/** All six services in one process, on the embedded log. */
import { join } from 'node:path';
import { type ArtifactStore, filesystemArtifacts } from '@rlhf-streams/artifacts';
import { coordinator } from '@rlhf-streams/coordinator';
import { gateway } from '@rlhf-streams/gateway';
import type { EventLog } from '@rlhf-streams/log';
import { optimizer } from '@rlhf-streams/optimizer';
import { policy } from '@rlhf-streams/policy';
import { reference } from '@rlhf-streams/reference';
import { reward } from '@rlhf-streams/reward';
import {
  createEvents,
  createLogger,
  type Environment,
  type Events,
  type Logger,
  type LogLevel,
  openLog,
  type RunningService,
  type ServiceDefinition,
  startService,
  topicSpecs,
} from '@rlhf-streams/runtime';
import { createTelemetry } from '@rlhf-streams/runtime/telemetry';

/** The gateway last: when it answers, the others are up. */
const services = { policy, reward, reference, optimizer, coordinator, gateway } as const;
export type ServiceName = keyof typeof services;

export interface PlatformOptions {
  /** Folder of the log and the artifacts. */
  readonly directory: string;
  readonly environment?: Environment;
  readonly logLevel?: LogLevel;
  /** Ports by service; a free one where none is given. */
  readonly ports?: Readonly<Partial<Record<ServiceName, number>>>;
  /** Replicas by service; 0 leaves it out. Default 1. */
  readonly replicas?: Readonly<Partial<Record<ServiceName, number>>>;
}

export interface Platform {
  readonly log: EventLog;
  readonly artifacts: ArtifactStore;
  /** The caller's own view of the log. */
  readonly events: Events;
  readonly services: readonly RunningService[];
  readonly logger: Logger;
  /** Starts one more replica of a service. */
  start(service: ServiceName): Promise<RunningService>;
  /** Resolves, with its name, when a service has failed. */
  readonly failed: Promise<{ readonly service: string; readonly error: unknown }>;
  /** Stops the services in the reverse order of their start, then closes the log. */
  close(): Promise<void>;
}

/** @throws LogError LOG_LOCKED when another process has the folder. */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { directory, ports = {}, replicas = {}, logLevel = 'warn' } = options;
  const environment = { ...options.environment, RLHF_DATA_DIR: directory };
  const logger = createLogger({ level: logLevel });
  const log = await openLog(environment);
  const artifacts = filesystemArtifacts({ directory: join(directory, 'artifacts') });
  const events = createEvents({ log, source: 'cli', logger });
  const started: RunningService[] = [];
  const close = async () => {
    await events.close();
    const errors: unknown[] = [];
    for (const service of started.toReversed()) await service.stop().catch((error) => errors.push(error));
    await log.close();
    if (errors.length > 0)
      throw errors.length === 1 ? errors[0] : new AggregateError(errors, 'services did not stop cleanly');
  };
  let tellFailed: (failure: Awaited<Platform['failed']>) => void;
  const failed: Platform['failed'] = new Promise((resolve) => {
    tellFailed = resolve;
  });
  const start = async (name: ServiceName, port = 0) => {
    const definition = services[name] as unknown as ServiceDefinition;
    const telemetry = createTelemetry({ service: name });
    const service = await startService(definition, { log, artifacts, environment, telemetry, logger, port });
    started.push(service);
    void service.ended.then(
      (end) => end.state === 'failed' && tellFailed({ service: name, error: end.error }),
    );
    return service;
  };
  try {
    await log.ensureTopics(topicSpecs);
    for (const name of Object.keys(services) as ServiceName[]) {
      for (let replica = 0; replica < (replicas[name] ?? 1); replica++) await start(name, ports[name]);
    }
  } catch (error) {
    await close().catch((err) => logger.error({ err }, 'did not close after a failed start'));
    throw error;
  }
  return { log, artifacts, events, services: started, logger, start: (name) => start(name), failed, close };
}
