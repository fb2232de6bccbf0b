/** Every service as a process of its own, on a log that processes can share. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { untilAborted } from '@rlhf-streams/waiting';
import { CliError } from '../errors.js';
import { type Client, openClient } from './client.js';
import type { FailedService } from './in-process-gateway.js';
import { type ServiceName, type ServicesOptions, serviceNames, troublesOf } from './services.js';
import { type Supervised, supervise } from './supervised.js';
import { tellingWait } from './telling-wait.js';

export interface ProcessesOptions extends ServicesOptions {
  /** Folder of the artifacts, or of copies of them, and of the services' own logs. */
  readonly directory: string;
  /** Settings, which name the log by KAFKA_BROKERS or RLHF_LOG. */
  readonly environment: NodeJS.ProcessEnv;
}

export interface Processes extends Client {
  readonly services: readonly Supervised[];
  /** Starts one more replica of a service, and waits until it is ready. */
  start(service: ServiceName): Promise<Supervised>;
}

const READYZ_TIMEOUT_MS = 3_000;

/**
 * @throws CliError CLI_LOG_PRIVATE for the embedded log, which belongs to one process; CLI_SERVICE_FAILED; as
 * `openLog` does.
 */
export async function startProcesses(options: ProcessesOptions): Promise<Processes> {
  const { directory, ports = {}, replicas = {}, signal } = options;
  const environment: NodeJS.ProcessEnv = { ...options.environment, RLHF_DATA_DIR: directory };
  if (!environment.KAFKA_BROKERS && !environment.RLHF_LOG)
    throw new CliError(
      'CLI_LOG_PRIVATE',
      'expected a log that processes can share, such as --brokers host:port; the embedded log is of one process',
    );
  const client = await openClient({ directory, environment });
  const logs = join(directory, 'logs');
  const services: Supervised[] = [];
  let tellFailed: (failure: FailedService) => void;
  const oneFailed = new Promise<FailedService>((resolve) => {
    tellFailed = resolve;
  });

  const begin = (name: ServiceName, port = 0): Supervised => {
    const replica = services.filter(({ service }) => service === name).length + 1;
    const service = supervise({
      service: name,
      environment: { ...environment, PORT: String(port), RLHF_REPLICA: `${name}-${replica}` },
      logFile: join(logs, `${name}-${replica}.log`),
    });
    services.push(service);
    void service.failed.then((error) => tellFailed({ service: name, error }));
    return service;
  };
  const close = async () => {
    await Promise.all(services.map((service) => service.stop()));
    await client.close();
  };

  try {
    await mkdir(logs, { recursive: true });
    const begun = serviceNames.flatMap((name) =>
      Array.from({ length: replicas[name] ?? 1 }, (_, replica) =>
        begin(name, replica === 0 ? ports[name] : 0),
      ),
    );
    const ready = Promise.all(
      begun.map((each) => tellingWait(`service ${each.service} to start`, each.ready())),
    );
    await (signal ? untilAborted(ready, signal) : ready);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    ...client,
    services,
    failed: Promise.race([oneFailed, client.failed]),
    troubles: () =>
      troublesOf(
        services.map(({ url }) => ({
          readyz: () => fetch(`${url}/readyz`, { signal: AbortSignal.timeout(READYZ_TIMEOUT_MS) }),
        })),
      ),
    close,
    async start(name) {
      const service = begin(name);
      await service.ready();
      return service;
    },
  };
}
