/** The services of the example: in one process on the embedded log, or processes of their own on Kafka. */
import { type Client, type Processes, startPlatform, startProcesses } from 'rlhf-streams';

export interface Place {
  readonly directory: string;
  /** Of a Kafka cluster, on which every service is a process; without it, all are in one, on an embedded log. */
  readonly brokers?: string | undefined;
}

/** Topics and groups of each place have names of their own, so that an experiment can be done twice on one cluster. */
export const environmentOf = ({ directory, brokers }: Place): NodeJS.ProcessEnv =>
  brokers === undefined
    ? process.env
    : { ...process.env, KAFKA_BROKERS: brokers, KAFKA_PREFIX: prefixOf(directory) };

const prefixOf = (directory: string): string => `${directory.replaceAll(/[^A-Za-z0-9]+/g, '-').slice(-60)}.`;

export async function startServices(place: Place): Promise<Client & Partial<Pick<Processes, 'services'>>> {
  const environment = environmentOf(place);
  if (place.brokers !== undefined) return startProcesses({ ...place, environment });
  const { services: _, ...platform } = await startPlatform({ ...place, environment, logLevel: 'error' });
  return platform;
}
