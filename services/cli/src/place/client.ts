/** What a command works with, whoever runs the services: the log, the artifacts, and a gateway to ask. */
import type { ArtifactStore } from '@rlhf-streams/artifacts';
import { createEvents, type Events, type Logger } from '@rlhf-streams/bus';
import { archivedTopics } from '@rlhf-streams/events';
import type { EventLog } from '@rlhf-streams/log';
import {
  createLogger,
  type Environment,
  type LogLevel,
  openArtifacts,
  topicSpecsFor,
} from '@rlhf-streams/service';
import { type FailedService, type GatewayRequest, inProcessGateway } from './in-process-gateway.js';
import { isEmbedded, openLogSoon } from './open-log.js';

export interface Client {
  readonly log: EventLog;
  readonly artifacts: ArtifactStore;
  readonly events: Events;
  readonly logger: Logger;
  /** Asks the gateway: runs are requested and followed by it. */
  readonly request: GatewayRequest;
  /** Resolves when a service has failed that this process started. */
  readonly failed: Promise<FailedService>;
  /** What the services that this process started wait for now, as their /readyz says. */
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
  /** Creates the topics that are missing. Default true; false where a command only looks. */
  readonly createTopics?: boolean;
}

const isArchived = (name: string): boolean => archivedTopics.some((archived) => archived === name);

/** Opens the log and the artifacts that an environment names. No service is started, nor watched. */
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
    // The embedded log has nobody who would run `topics apply`, and one of an earlier build deletes by their age records
    // of runs that are not archived.
    if (createTopics && isEmbedded(settings))
      await log.ensureTopics(
        topics.filter(({ name }) => isArchived(name)),
        { settings: true },
      );
    if (createTopics) await log.ensureTopics(topics);
  } catch (error) {
    await close();
    throw error;
  }
  const { request, failed } = gateway;
  return { log, artifacts, events, logger, request, failed, troubles: async () => [], close };
}
