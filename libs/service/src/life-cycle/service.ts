import { join } from 'node:path';
import type { Meter, Tracer } from '@opentelemetry/api';
import type { ArtifactStore } from '@rlhf-streams/artifacts';
import {
  createEvents,
  createProjection,
  createWaits,
  type Events,
  type Logger,
  type Projection,
  type ProjectionOptions,
  type Waits,
} from '@rlhf-streams/bus';
import type { TopicName } from '@rlhf-streams/events';
import type { EventLog } from '@rlhf-streams/log';
import { withDeadline } from '@rlhf-streams/waiting';
import type { z } from 'zod';
import { createApp } from '../http/app.js';
import type { ApiDescription, Http } from '../http/openapi.js';
import { createOperations, type Readiness } from '../http/operations.js';
import { listen } from '../http/server.js';
import { createStreams, type OpenStreams } from '../http/streams.js';
import { describeSettings, type Environment, readSettings } from '../settings/settings.js';
import { dataSettings, runtimeSettings } from '../settings/shared.js';
import { type Cache, weightCache } from '../storage/open-artifacts.js';
import { type TemporaryFolders, temporaryFolders } from '../storage/temporary.js';
import { createLogger } from '../telemetry/logger.js';
import { noTelemetry, type Telemetry } from '../telemetry/port.js';
import { createLifeCycle, type ServiceEnd, type ServiceState } from './life-cycle.js';

/** What a service is given to work with. */
export interface ServiceContext<Settings = unknown> {
  readonly name: string;
  readonly settings: Settings;
  /** Every environment variable: for those whose names a file of settings holds, such as tokens. */
  readonly environment: Environment;
  readonly log: EventLog;
  readonly events: Events;
  readonly artifacts: ArtifactStore;
  /** Temporary folders in RLHF_DATA_DIR. */
  readonly temporary: TemporaryFolders;
  /** For the weights of models that are not stored as programs take them. */
  readonly weightCache: Cache;
  /** The service adds its routes here, while it starts. Errors become problem details; /openapi.json has every route. */
  readonly http: Http;
  /** For server-sent events: `streams.sse(c, write)`. */
  readonly streams: OpenStreams;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly tracer: Tracer;
  readonly readiness: Readiness;
  /** What runs wait for outside of this service. Consumers of events and `driveOwned` report their waits by themselves. */
  readonly waits: Waits;
  /** A projection that lives as long as the service, which fails if the projection does. */
  project<Name extends TopicName, Value>(
    options: Pick<ProjectionOptions<Name, Value>, 'topics' | 'from' | 'apply'>,
  ): Projection<Value>;
  /** Runs when the service stops, after its consumers have ended; what was added last runs first. `what` names it in errors. */
  onStop(run: () => void | Promise<void>, what?: string): void;
  /** Names of the services that this process runs now, this one among them: they share its memory. */
  inProcess(): readonly string[];
  /** Aborted when the service begins to drain. */
  readonly signal: AbortSignal;
  /** The service cannot go on: it stops, and ends as failed. */
  fail(error: unknown): void;
}

export interface ServiceDefinition<Schema extends z.ZodObject = z.ZodObject> {
  readonly name: string;
  /** What its OpenAPI document says of it as a whole. */
  readonly api?: ApiDescription;
  /** Environment variables: each with `.describe()`, and a default where there is a sensible one. */
  readonly settings: Schema;
  /** Sets the service up; it is ready when this returns. */
  readonly start: (context: ServiceContext<z.output<Schema>>) => void | Promise<void>;
}

export interface RunningService {
  readonly name: string;
  readonly url: string;
  readonly port: number;
  readonly state: ServiceState;
  /** Resolves when the service has ended, for whatever reason; never rejects. */
  readonly ended: Promise<ServiceEnd>;
  /**
   * Calls the service's HTTP interface without a socket. Routes have the bindings as `c.env`: a service may know by
   * them who asks, for no client over a socket can send them.
   */
  request(path: string, init?: RequestInit, bindings?: object): Promise<Response>;
  /**
   * Readiness fails, `signal` aborts, consumers end, `onStop` hooks run, streams and the server close, telemetry is
   * flushed. Idempotent.
   * @throws RuntimeError RUNTIME_STOP_TIMEOUT, RUNTIME_STOP_FAILED.
   */
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly log: EventLog;
  readonly artifacts: ArtifactStore;
  readonly environment: Environment;
  /** In place of the setting PORT; 0 takes a free one. */
  readonly port?: number;
  /** Default none; shut down with the service. */
  readonly telemetry?: Telemetry;
  /** Default: to standard error, from the setting LOG_LEVEL on. */
  readonly logger?: Logger;
  /** Default 25 s: before Kubernetes' 30 are over, and after most of what native code computes in one call. */
  readonly stopTimeoutMs?: number;
}

/** The services of this process that have started and not ended. */
const running = new Set<{ readonly name: string }>();

/** @throws RuntimeError RUNTIME_SETTINGS when a setting has no description. */
export function defineService<Schema extends z.ZodObject>(
  definition: ServiceDefinition<Schema>,
): ServiceDefinition<Schema> {
  describeSettings(definition.settings);
  return definition;
}

/**
 * Resolves when the service is ready. Its log and artifacts stay open when it ends: they are the caller's.
 * @throws RuntimeError RUNTIME_SETTINGS, RUNTIME_LISTEN, RUNTIME_DEADLINE; what `start` throws or `fail` was given.
 */
export async function startService<Schema extends z.ZodObject>(
  definition: ServiceDefinition<Schema>,
  options: StartOptions,
): Promise<RunningService> {
  const { name, api = {} } = definition;
  const { log, artifacts, environment, telemetry = noTelemetry, stopTimeoutMs = 25_000 } = options;
  const [own, shared, data] = readSettings(environment, definition.settings, runtimeSettings, dataSettings);
  const logger = (options.logger ?? createLogger({ level: shared.LOG_LEVEL })).child({ service: name });
  const { meter, tracer } = telemetry;

  const life = createLifeCycle({
    name,
    logger,
    stopTimeoutMs,
    steps: (added) => [
      { what: 'event consumers', run: () => events.close() },
      ...added,
      { what: 'event streams', run: () => streams.close() },
      { what: 'the HTTP server', run: (signal) => server.close(signal) },
      { what: 'telemetry', run: () => telemetry.shutdown() },
    ],
  });
  const { signal, fail } = life;
  const waits = createWaits({ service: name, publish: (news) => events.publish(news), logger, signal });
  const events = createEvents({ log, source: name, meter, tracer, logger, waits });
  const streams = createStreams(logger);
  const temporary = temporaryFolders(join(data.RLHF_DATA_DIR, 'tmp'));
  const app = createApp({ name, api, logger, meter, tracer, bodyLimitBytes: shared.HTTP_BODY_LIMIT_BYTES });
  const { outer, readiness } = createOperations({ name, app, telemetry, logger, state: () => life.state });
  readiness.check('runs', () => waits.list().length === 0 || waits.list().join('; '));
  const server = await listen(outer, {
    host: shared.HOST,
    port: options.port ?? shared.PORT,
    allowedHosts: shared.HTTP_ALLOWED_HOSTS,
    stalledMs: shared.HTTP_STALLED_CLIENT_MS,
    logger,
  });
  let hooks = 0;
  const self = { name };
  running.add(self);
  void life.ended.then(() => running.delete(self));

  const context: ServiceContext<z.output<Schema>> = {
    name,
    settings: own,
    environment,
    log,
    events,
    artifacts,
    temporary,
    weightCache: weightCache(environment),
    http: app,
    streams,
    logger,
    meter,
    tracer,
    readiness,
    waits,
    project: (projection) => {
      const created = createProjection({ ...projection, events, signal });
      created.ended.catch(fail);
      return created;
    },
    onStop: (run, what = `stop hook ${++hooks}`) => life.onStop({ what, run }),
    inProcess: () => [...running].map(({ name }) => name),
    signal,
    fail,
  };
  try {
    const begin = async () => {
      await temporary.sweep();
      await definition.start(context);
    };
    await withDeadline(begin, { ms: shared.START_TIMEOUT_MS, late: `${name} to start`, signal });
    signal.throwIfAborted();
  } catch (error) {
    await life.drain({ error });
    throw error;
  }
  life.ready();
  logger.info({ url: server.url }, 'ready');

  return {
    name,
    url: server.url,
    port: server.port,
    get state() {
      return life.state;
    },
    ended: life.ended,
    request: async (path, init, bindings) => outer.request(path, init, bindings),
    stop: async () => {
      const stopError = await life.drain();
      if (stopError) throw stopError;
    },
  };
}
