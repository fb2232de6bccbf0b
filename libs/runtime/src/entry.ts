/** A service as a process of its own. */
import { join } from 'node:path';
import { filesystemArtifacts } from '@rlhf-streams/artifacts';
import type { EventLog } from '@rlhf-streams/log';
import type { z } from 'zod';
import { codeOf, messageOf } from './errors.js';
import { topicSpecs } from './events/topics.js';
import { createLogger, type Logger } from './logger.js';
import { dataSettings, openLog } from './open-log.js';
import { type ServiceDefinition, startService } from './service.js';
import { type Environment, readSettings, runtimeSettings } from './settings.js';

/** 0: stopped when asked to; 1: failed; 2: the settings are wrong; 130: a second signal came while stopping. */
type ExitCode = 0 | 1 | 2 | 130;

/**
 * Runs a service until SIGTERM or SIGINT, then exits the process. Settings come from the environment:
 * `dataSettings`, `runtimeSettings` and the service's own.
 */
export async function main<Schema extends z.ZodObject>(
  definition: ServiceDefinition<Schema>,
): Promise<never> {
  process.exit(await runUntilSignal(definition, process.env));
}

async function runUntilSignal<Schema extends z.ZodObject>(
  definition: ServiceDefinition<Schema>,
  environment: Environment,
): Promise<ExitCode> {
  let log: EventLog | undefined;
  try {
    const [{ RLHF_DATA_DIR }, { LOG_LEVEL }] = readSettings(
      environment,
      dataSettings,
      runtimeSettings,
      definition.settings,
    );
    const logger = createLogger({ level: LOG_LEVEL });
    // The SDK is loaded by services of their own process only.
    const { createTelemetry } = await import('./telemetry/sdk.js');
    log = await openLog(environment);
    await log.ensureTopics(topicSpecs);
    const service = await startService(definition, {
      log,
      artifacts: filesystemArtifacts({ directory: join(RLHF_DATA_DIR, 'artifacts') }),
      environment,
      telemetry: createTelemetry({ service: definition.name }),
      logger,
    });
    const stop = () => {
      // How it went is told by `ended`.
      service.stop().catch(() => {});
    };
    onSignals(stop);
    const crash = onCrash(logger, stop);
    process.stdout.write(`${service.name} is ready at ${service.url}\n`);
    const end = await service.ended;
    return end.state === 'failed' || crash.seen ? 1 : 0;
  } catch (error) {
    process.stderr.write(`${definition.name} did not start: ${messageOf(error)}\n`);
    return codeOf(error) === 'RUNTIME_SETTINGS' ? 2 : 1;
  } finally {
    await log?.close();
  }
}

function onSignals(stop: () => void): void {
  let asked = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (asked) process.exit(130 satisfies ExitCode);
      asked = true;
      stop();
    });
  }
}

function onCrash(logger: Logger, stop: () => void): { readonly seen: boolean } {
  const crash = { seen: false };
  const onError = (err: unknown) => {
    crash.seen = true;
    logger.fatal({ err }, 'nobody caught an error: stopping');
    stop();
  };
  process.on('uncaughtException', onError);
  process.on('unhandledRejection', onError);
  return crash;
}
