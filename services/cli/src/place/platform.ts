/** All six services in one process. */
import { coordinator } from '@rlhf-streams/coordinator';
import { gateway } from '@rlhf-streams/gateway';
import { optimizer } from '@rlhf-streams/optimizer';
import { policy } from '@rlhf-streams/policy';
import { reference } from '@rlhf-streams/reference';
import { reward } from '@rlhf-streams/reward';
import {
  artifactSettings,
  type Environment,
  type RunningService,
  readSettings,
  runtimeSettings,
  type ServiceDefinition,
  startService,
  topicSpecsFor,
} from '@rlhf-streams/service';
import { createTelemetry } from '@rlhf-streams/service/telemetry';
import { computeSettings, type EngineChoice, engineChoice } from '@rlhf-streams/serving';
import { type Client, type ClientOptions, openClient } from './client.js';
import { type FailedService, requestOf } from './in-process-gateway.js';
import { type ServiceName, type ServicesOptions, serviceNames, troublesOf } from './services.js';
import { tellingWait } from './telling-wait.js';

const services = { policy, reward, reference, optimizer, coordinator, gateway } as const;

export interface PlatformOptions extends ClientOptions, ServicesOptions {}

export interface Platform extends Client {
  readonly services: readonly RunningService[];
  /** Starts one more replica of a service. */
  start(service: ServiceName): Promise<RunningService>;
  /** Stops the services in the reverse order of their start, then closes the log. */
  close(): Promise<void>;
}

/**
 * Checks the settings of all services, before anything is started.
 * @returns the engine that they choose
 * @throws RuntimeError RUNTIME_SETTINGS naming what none of them could be started with.
 */
export async function checkSettings(environment: Environment): Promise<EngineChoice> {
  const [compute] = readSettings(
    environment,
    computeSettings,
    runtimeSettings,
    artifactSettings,
    ...Object.values(services).map(({ settings }) => settings),
  );
  await topicSpecsFor(environment);
  return engineChoice(compute);
}

/** @throws LogError LOG_LOCKED when another process has the folder of an embedded log. */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { directory, ports = {}, replicas = {}, signal } = options;
  const environment = { ...options.environment, RLHF_DATA_DIR: directory };
  const client = await openClient(options);
  const { log, artifacts, events, logger } = client;
  const started: RunningService[] = [];
  const close = async () => {
    await events.close();
    const errors: unknown[] = [];
    for (const service of started.toReversed()) await service.stop().catch((error) => errors.push(error));
    await client.close();
    if (errors.length > 0)
      throw errors.length === 1 ? errors[0] : new AggregateError(errors, 'services did not stop cleanly');
  };
  let tellFailed: (failure: FailedService) => void;
  const oneFailed = new Promise<FailedService>((resolve) => {
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
    for (const name of serviceNames) {
      for (let replica = 0; replica < (replicas[name] ?? 1); replica++) {
        signal?.throwIfAborted();
        const starting = start(name, replica === 0 ? ports[name] : 0);
        await tellingWait(`service ${name} to start`, starting);
      }
    }
  } catch (error) {
    await close().catch((err) => logger.error({ err }, 'did not close after a failed start'));
    throw error;
  }
  const troubles = () => troublesOf(started.map((service) => ({ readyz: () => service.request('/readyz') })));
  const gateway = started.find(({ name }) => name === 'gateway');
  return {
    ...client,
    ...(gateway && { request: requestOf(gateway) }),
    services: started,
    start: (name) => start(name),
    failed: Promise.race([oneFailed, client.failed]),
    troubles,
    close,
  };
}
