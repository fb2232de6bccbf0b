/** Every service as a process of its own, on a Kafka that a test shares with nobody by its prefix. */
import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Processes, type ProcessesOptions, startProcesses } from 'rlhf-streams';
import { oneThread } from '../platform/tiny-runs.js';

export interface ServicesOptions extends Pick<ProcessesOptions, 'directory' | 'replicas'> {
  readonly brokers: readonly string[];
  /** Settings that override those of this folder's tests. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Deaths are noticed soon, and a small machine has threads for all. */
const settings = {
  KAFKA_SESSION_TIMEOUT_MS: '3000',
  ...oneThread,
};

/** Settings of services, and of the command, on topics of their own. */
export const environmentOn = (brokers: readonly string[]): Record<string, string> => ({
  ...settings,
  KAFKA_BROKERS: brokers.join(),
  KAFKA_PREFIX: `test-${randomUUID()}-`,
});

/**
 * Starts the services, lets `work` use them, and ends them.
 * @throws what `work` throws, and with it the end of what every service wrote.
 */
export async function withServices<T>(
  { brokers, directory, environment, ...options }: ServicesOptions,
  work: (services: Processes) => Promise<T>,
): Promise<T> {
  const services = await startProcesses({
    ...options,
    directory,
    environment: { ...process.env, ...environmentOn(brokers), ...environment },
  });
  try {
    return await work(services);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${await logsIn(directory)}`, { cause: error });
  } finally {
    await services.close();
  }
}

const SHOWN_LINES = 25;

/** The end of every service's log. */
export async function logsIn(directory: string): Promise<string> {
  const logs = join(directory, 'logs');
  const files = (await readdir(logs)).sort();
  const ends = files.map(async (file) => {
    const lines = (await readFile(join(logs, file), 'utf8')).trimEnd().split('\n');
    return `--- ${file}\n${lines.slice(-SHOWN_LINES).join('\n')}`;
  });
  return (await Promise.all(ends)).join('\n');
}

/** Everything a service has written, in the lives of all its replicas. */
export async function logOf({ directory, name }: { readonly directory: string; readonly name: string }) {
  const logs = join(directory, 'logs');
  const files = (await readdir(logs)).filter((file) => file.startsWith(`${name}-`));
  const texts = await Promise.all(files.map((file) => readFile(join(logs, file), 'utf8')));
  return texts.join('\n');
}
