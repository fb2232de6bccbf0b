/** Where runs are done: who runs the services, and on which log. */
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { hasCode } from '@rlhf-streams/files';
import type { EventLog } from '@rlhf-streams/log';
import type { LogLevel } from '@rlhf-streams/service';
import { CliError } from '../errors.js';
import { type Client, openClient } from './client.js';
import { exposure } from './listening.js';
import { startPlatform } from './platform.js';
import { startProcesses } from './processes.js';
import type { ServiceName } from './services.js';

export interface Where {
  /** Folder of what is written here. */
  readonly directory: string;
  /** Brokers of a Kafka log, as host:port,host:port; default KAFKA_BROKERS, and without it the embedded log. */
  readonly brokers?: string;
  /** Uses the services that run already. */
  readonly attach?: boolean;
  readonly replicas?: Readonly<Partial<Record<ServiceName, number>>>;
  /** Ports of the first replica of each service; a free one where none is given. */
  readonly ports?: Readonly<Partial<Record<ServiceName, number>>>;
  /** Address to listen at; default HOST, and without it 127.0.0.1. */
  readonly host?: string;
  /** Least level that services in this process log. */
  readonly logLevel?: LogLevel;
  /** The embedded log of the folder, where it is open already. */
  readonly log?: EventLog;
  /** Gives up the start, with its reason. */
  readonly signal?: AbortSignal;
}

export interface Place extends Client {
  /** What runs where, in a sentence for people. */
  readonly description: string;
  /** Where the services listen that were started here. */
  addresses(): readonly { readonly name: string; readonly url: string }[];
}

/** What people call a log that processes share; undefined for the embedded log, which belongs to one process. */
const sharedLog = ({ brokers = process.env.KAFKA_BROKERS }: Pick<Where, 'brokers'>): string | undefined =>
  process.env.RLHF_LOG === 'embedded'
    ? undefined
    : brokers
      ? `Kafka at ${brokers}`
      : process.env.RLHF_LOG
        ? `the log of ${process.env.RLHF_LOG}`
        : undefined;

/** Whether others may use the log too, or have used it. */
export const isShared = (where: Where): boolean => where.attach === true || sharedLog(where) !== undefined;

/**
 * The log and the artifacts for a command that only looks: no service is started, and nothing is created.
 * @throws CliError CLI_NOTHING_THERE for a log that is not there, or that never had runs.
 */
export async function openToLook(where: Pick<Where, 'directory' | 'brokers'>): Promise<Client> {
  const { directory } = where;
  const shared = sharedLog(where);
  const nothing = () =>
    new CliError(
      'CLI_NOTHING_THERE',
      `expected ${shared ?? resolve(directory)} to hold runs, there is nothing there: name another ${shared ? 'with --brokers' : 'folder with --directory'}`,
    );
  if (!shared && !(await hasLog(directory))) throw nothing();
  const client = await openClient({ directory, environment: environmentOf(where), createTopics: false });
  try {
    await client.log.positions(['runs']);
    return client;
  } catch (error) {
    await client.close();
    throw (error as { code?: unknown }).code === 'LOG_UNKNOWN_TOPIC' ? nothing() : error;
  }
}

/** Whether a folder has an embedded log. */
export const hasLog = (directory: string): Promise<boolean> =>
  stat(join(directory, 'log', 'data.mdb')).then(
    () => true,
    (error) => {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return false;
      throw error;
    },
  );

/**
 * The services as wanted: in this process on the embedded log, each as a process of its own on a log that can be
 * shared, or with `attach` none.
 * @throws CliError CLI_LOG_PRIVATE to attach to an embedded log; as `startPlatform` and `startProcesses` do.
 */
export async function openPlace(where: Where): Promise<Place> {
  const { directory, attach, replicas = {}, ports = {}, log, signal } = where;
  // The progress of a run shows what its services wait for and try again: their warnings would repeat it.
  const { logLevel = 'error' } = where;
  const environment = environmentOf(where);
  const shared = sharedLog(where);
  await refuseFile(directory);
  if (attach) {
    if (!shared)
      throw new CliError(
        'CLI_LOG_PRIVATE',
        'expected --attach to come with a log that others use too, as --brokers host:port: the embedded log is of one process',
      );
    const client = await openClient({ directory, environment });
    return { ...client, description: `The services that run already, on ${shared}`, addresses: () => [] };
  }
  const start = { directory, environment, replicas, ports, ...(signal && { signal }) };
  const open = exposure(environment.HOST || '127.0.0.1');
  const description = (services: string, gateway: string | undefined) =>
    [`${services}${gateway ? `; watch at ${gateway}/v1/runs` : ''}`, ...(open ? [open] : [])].join('\n');
  if (shared) {
    const processes = await startProcesses(start);
    const gateway = processes.services.find(({ service }) => service === 'gateway');
    const services = `${processes.services.length} services, each a process, on ${shared}`;
    return {
      ...processes,
      description: description(`${services}; what they write is in ${resolve(directory)}/logs`, gateway?.url),
      addresses: () => processes.services.map(({ service, url }) => ({ name: service, url })),
    };
  }
  const platform = await startPlatform({ ...start, logLevel, ...(log && { log }) });
  const gateway = platform.services.find(({ name }) => name === 'gateway');
  const services = `${platform.services.length} services on the embedded log in ${resolve(directory)}`;
  return {
    ...platform,
    description: description(services, gateway?.url),
    addresses: () => platform.services,
  };
}

/** @throws CliError CLI_DIRECTORY_FOREIGN for what is no folder, and cannot become one. */
async function refuseFile(directory: string): Promise<void> {
  const found = await stat(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return error.code;
    throw error;
  });
  if (found === 'ENOENT' || (found !== 'ENOTDIR' && found.isDirectory())) return;
  const came = found === 'ENOTDIR' ? 'a path through a file' : 'a file';
  throw new CliError(
    'CLI_DIRECTORY_FOREIGN',
    `expected --directory to be a folder or nothing yet, got ${resolve(directory)}, ${came}: name another`,
  );
}

export const environmentOf = ({ brokers, host }: Pick<Where, 'brokers' | 'host'>): NodeJS.ProcessEnv => ({
  ...process.env,
  ...(brokers && { KAFKA_BROKERS: brokers }),
  ...(host && { HOST: host }),
});
