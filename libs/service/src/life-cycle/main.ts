/** A service as a process of its own. */

import { codeOf, type Logger, messageOf } from '@rlhf-streams/bus';
import type { EventLog } from '@rlhf-streams/log';
import type { z } from 'zod';
import { type Environment, readSettings } from '../settings/settings.js';
import { dataSettings, runtimeSettings } from '../settings/shared.js';
import { artifactSettings, openArtifacts } from '../storage/open-artifacts.js';
import { openLog } from '../storage/open-log.js';
import { topicSpecsFor } from '../storage/topic-specs.js';
import { createLogger } from '../telemetry/logger.js';
import { type ServiceDefinition, startService } from './service.js';

/** What a service tells the process that started it over their channel (`ipc`) once it is ready: where it listens. */
export interface ReadyMessage {
  readonly ready: string;
}

/** 0: stopped when asked to; 1: failed; 2: the settings are wrong; 130: a second signal came while stopping. */
type ExitCode = 0 | 1 | 2 | 130;

/**
 * Runs a service until SIGTERM or SIGINT, or until the process at the other end of its channel (Node's `ipc`), if it
 * was started with one, is gone; then exits the process. Settings come from the environment:
 * `dataSettings`, `runtimeSettings`, `logSettings`, `topicSettings`, `artifactSettings` and the service's own.
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
  // Until the service is up, nothing is under way, and a signal may end the process at once. It is handled from the first
  // moment on, because the first process of a container ignores the signals that it has no handler for.
  let stop = (code: ExitCode): void => process.exit(code);
  onOrphaned(() => stop(1));
  onSignals(() => stop(0));
  try {
    const [{ LOG_LEVEL }] = readSettings(
      environment,
      runtimeSettings,
      dataSettings,
      artifactSettings,
      definition.settings,
    );
    const logger = createLogger({ level: LOG_LEVEL });
    // The SDK is loaded by services of their own process only.
    const { createTelemetry } = await import('../telemetry/sdk.js');
    const topics = await topicSpecsFor(environment);
    log = await openLog(environment);
    await log.ensureTopics(topics);
    const service = await startService(definition, {
      log,
      artifacts: await openArtifacts(environment),
      environment,
      telemetry: createTelemetry({ service: definition.name }),
      logger,
    });
    stop = () => {
      // `ended` tells how the stop went.
      service.stop().catch(() => {});
    };
    const crash = onCrash(logger, () => stop(1));
    process.stdout.write(`${service.name} is ready at ${service.url}\n`);
    if (process.connected) process.send!({ ready: service.url } satisfies ReadyMessage);
    const end = await service.ended;
    return end.state === 'failed' || crash.seen ? 1 : 0;
  } catch (error) {
    process.stderr.write(`${definition.name} did not start: ${messageOf(error)}\n`);
    return codeOf(error) === 'RUNTIME_SETTINGS' ? 2 : 1;
  } finally {
    await log?.close();
  }
}

/** Calls `stop` when the process at the other end of the channel, where there is one, is gone. */
function onOrphaned(stop: () => void): void {
  if (!process.send) return;
  if (process.connected) process.once('disconnect', stop);
  else stop();
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
