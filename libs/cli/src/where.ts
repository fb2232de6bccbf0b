/** Where runs are done: who runs the services, and on which log. */
import type { LogLevel } from '@rlhf-streams/runtime';
import { type Client, openClient } from './client.js';
import { startPlatform } from './platform.js';
import { startProcesses } from './processes/processes.js';
import type { ServiceName } from './service-names.js';

export interface Where {
  /** Folder of what is written here. */
  readonly directory: string;
  /** Brokers of a Kafka log, as host:port,host:port; default KAFKA_BROKERS, and without it the embedded log. */
  readonly brokers?: string;
  /** Uses the services that run already. */
  readonly attach?: boolean;
  readonly replicas?: Readonly<Partial<Record<ServiceName, number>>>;
  /** Of the first replica of each service; free ones where none is given. */
  readonly ports?: Readonly<Partial<Record<ServiceName, number>>>;
  /** Of services in this process. */
  readonly logLevel?: LogLevel;
}

export interface Place extends Client {
  /** For people: what runs where. */
  readonly description: string;
  /** Of the services started here. */
  addresses(): readonly { readonly name: string; readonly url: string }[];
}

/** The log as people call it; none for the embedded one, which is this process's own. */
const sharedLog = ({ brokers = process.env.KAFKA_BROKERS }: Pick<Where, 'brokers'>): string | undefined =>
  process.env.RLHF_LOG === 'embedded'
    ? undefined
    : brokers
      ? `Kafka at ${brokers}`
      : process.env.RLHF_LOG && `the log of ${process.env.RLHF_LOG}`;

/** Whether others may use the log too, or have used it. */
export const isShared = (where: Where): boolean => where.attach === true || sharedLog(where) !== undefined;

/**
 * The services as wanted: in this process on the embedded log, each as a process of its own on a log that can be
 * shared, or with `attach` none.
 */
export async function openPlace(where: Where): Promise<Place> {
  const { directory, brokers, attach, replicas = {}, ports = {}, logLevel = 'warn' } = where;
  const environment = { ...process.env, ...(brokers && { KAFKA_BROKERS: brokers }) };
  const log = sharedLog(where);
  if (attach) {
    const client = await openClient({ directory, environment });
    return {
      ...client,
      description: `The services that run already, on ${log ?? directory}`,
      addresses: () => [],
    };
  }
  if (log) {
    const processes = await startProcesses({ directory, environment, replicas, ports });
    const gateway = processes.services.find(({ service }) => service === 'gateway');
    const services = `${processes.services.length} services, each a process, on ${log}`;
    return {
      ...processes,
      description: `${services}; what they write is in ${directory}/logs${watchAt(gateway?.url)}`,
      addresses: () => processes.services.map(({ service, url }) => ({ name: service, url })),
    };
  }
  const platform = await startPlatform({ directory, environment, replicas, ports, logLevel });
  const gateway = platform.services.find(({ name }) => name === 'gateway');
  return {
    ...platform,
    description: `${platform.services.length} services on the embedded log in ${directory}${watchAt(gateway?.url)}`,
    addresses: () => platform.services,
  };
}

const watchAt = (gateway: string | undefined): string => (gateway ? `; watch at ${gateway}/v1/runs` : '');
