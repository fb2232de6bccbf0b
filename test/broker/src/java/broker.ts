/** One broker as a process of this machine. */
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BackgroundProcess, runInBackground } from '../background.js';
import type { HostedBroker } from '../cluster.js';
import { KafkaBrokerError } from '../errors.js';
import { propertiesFile, type ServerSettings } from '../server-settings.js';
import type { JavaToolchain } from './toolchain.js';

const FORMAT_TIMEOUT_MS = 60_000;
const KILL_TIMEOUT_MS = 20_000;
const SHUTDOWN_TIMEOUT_MS = 20_000;
const LOG_TAIL_CHARACTERS = 4_000;

const JVM_OPTIONS = [
  '-Xmx384m',
  '-XX:+UseSerialGC',
  // The optimising compiler would take almost half of the CPU time that a start needs.
  '-XX:TieredStopAtLevel=1',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
];

/** A shell script that notes its process id and becomes the broker; it runs nothing when the folder for the id is gone. */
const LAUNCH = 'echo $$ >"$0" && exec "$@"';

export interface JavaBrokerPlan {
  readonly id: number;
  readonly address: string;
  readonly clusterId: string;
  readonly settings: ServerSettings;
  readonly dataFolder: string;
  /** Holds its properties, log and process id. */
  readonly runFolder: string;
  /** SCRAM credentials to create when the data folder is new, as StorageTool takes them. */
  readonly scram: readonly string[];
}

export interface JavaBroker extends HostedBroker {
  /** Has it flush its data and end; kills it when that takes over 20 s. */
  shutdown(): Promise<void>;
}

/** Writes the files that the broker needs, and formats its data folder unless that has data. */
export async function prepareBroker(
  { java, classPath }: JavaToolchain,
  plan: JavaBrokerPlan,
): Promise<JavaBroker> {
  const properties = join(plan.runFolder, 'server.properties');
  const logFile = join(plan.runFolder, 'broker.log');
  const pidFile = join(plan.runFolder, 'pid');

  const run = async (main: readonly string[]): Promise<BackgroundProcess> => {
    const log = await open(logFile, 'a');
    const command = [java, ...JVM_OPTIONS, '-cp', classPath, ...main];
    return runInBackground('sh', ['-c', LAUNCH, pidFile, ...command], { output: log.fd }).finally(() =>
      log.close(),
    );
  };
  const logTail = async () => (await readFile(logFile, 'utf8')).slice(-LOG_TAIL_CHARACTERS).trim();

  const format = async () => {
    const scram = plan.scram.flatMap((credentials) => ['--add-scram', credentials]);
    const cluster = ['--cluster-id', plan.clusterId, '--config', properties];
    const tool = await run(['kafka.tools.StorageTool', 'format', ...cluster, ...scram]);
    if ((await tool.ended(FORMAT_TIMEOUT_MS)) !== 0) {
      throw new KafkaBrokerError('KAFKA_BROKER_FAILED', `formatting ${plan.dataFolder}:\n${await logTail()}`);
    }
  };

  await mkdir(plan.runFolder, { recursive: true });
  await writeFile(properties, propertiesFile({ ...plan.settings, 'log.dirs': plan.dataFolder }));
  if (!existsSync(join(plan.dataFolder, 'meta.properties'))) await format();

  let broker: BackgroundProcess | undefined;
  const end = async (signal: 'SIGTERM' | 'SIGKILL', timeoutMs: number) => {
    broker?.kill(signal);
    await broker?.ended(timeoutMs);
    await rm(pidFile, { force: true });
  };
  return {
    id: plan.id,
    address: plan.address,
    launch: async () => {
      broker = await run(['kafka.Kafka', properties]);
    },
    kill: () => end('SIGKILL', KILL_TIMEOUT_MS),
    shutdown: () => end('SIGTERM', SHUTDOWN_TIMEOUT_MS).catch(() => end('SIGKILL', KILL_TIMEOUT_MS)),
    running: async () => broker?.running() ?? false,
    log: logTail,
  };
}
