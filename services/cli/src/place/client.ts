/** The log and the artifacts as a command sees them, whoever runs the services. */
import type { ArtifactStore } from '@rlhf-streams/artifacts';
import { createEvents, type Events, type Logger } from '@rlhf-streams/bus';
import type { EventLog } from '@rlhf-streams/log';
import {
  createLogger,
  type Environment,
  type LogLevel,
  openArtifacts,
  topicSpecsFor,
} from '@rlhf-streams/service';
import { type FailedService, type GatewayRequest, inProcessGateway } from './in-process-gateway.js';
import { openLogSoon } from './open-log.js';

export interface Client {
  readonly log: EventLog;
  readonly artifacts: ArtifactStore;
  readonly events: Events;
  readonly logger: Logger;
  /** Runs are requested and followed by it. */
  readonly request: GatewayRequest;
  /** Resolves, with its name, when a service has failed that this process answers for. */
  readonly failed: Promise<FailedService>;
  /** What the services that this process answers for wait for now, as their /readyz says. */
  troubles(): Promise<readonly string[]>;
  close(): Promise<void>;
}

export interface ClientOptions {
  /** Folder of an embedded log, and of artifacts or copies of them. */
  readonly directory: string;
  readonly environment?: Environment;
  readonly logLevel?: LogLevel;
  /** An embedded log that is open already, in the folder; closed with the client. */
  readonly log?: EventLog;
  /** Creates the topics that are missing. Default true; false for who only looks. */
  readonly createTopics?: boolean;
}

/** Opens what an environment names, with its topics. Services that run elsewhere are not started, nor watched. */
export async function openClient({
  directory,
  environment,
  logLevel = 'warn',
  log: opened,
  createTopics = true,
}: ClientOptions): Promise<Client> {
  const settings = { ...environment, RLHF_DATA_DIR: directory };
  const logger = createLogger({ level: logLevel });
  const topics = await topicSpecsFor(settings);
  const artifacts = await openArtifacts(settings);
  const log = opened ?? (await openLogSoon(settings));
  const events = createEvents({ log, source: 'cli', logger });
  const gateway = inProcessGateway({ log, artifacts, environment: settings, logger });
  const close = async () => {
    await gateway.close();
    await events.close();
    await log.close();
  };
  try {
    if (createTopics) await log.ensureTopics(topics);
  } catch (error) {
    await close();
    throw error;
  }
  const { request, failed } = gateway;
  return { log, artifacts, events, logger, request, failed, troubles: async () => [], close };
}
