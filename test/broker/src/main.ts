/** `npm run kafka`: runs one broker, or three, until Ctrl-C. */
import { parseArgs } from 'node:util';
import type { KafkaCluster } from './cluster.js';
import { KafkaBrokerError } from './errors.js';
import type { KafkaOptions } from './options.js';
import { startKafka } from './start.js';
import { KAFKA_VERSION } from './version.js';

const USAGE = `npm run kafka -- [options]
  --nodes 1|3         brokers; default 1
  --port PORT         of the first; the others take the ports after it; default 9092
  --source SOURCE     docker, or java (17 or newer, with Maven); default: docker where it runs
  --secure            TLS and a password (java alone)
  --directory FOLDER  keep the data there, and go on with them next time (java alone); default: nowhere
`;

const options = parse();
try {
  const cluster = await startKafka(options);
  process.stdout.write(announcement(cluster));
  await interruption();
  await cluster.stop();
} catch (error) {
  fail(error);
}

function parse(): KafkaOptions {
  try {
    const { values } = parseArgs({
      options: {
        nodes: { type: 'string', default: '1' },
        port: { type: 'string', default: '9092' },
        source: { type: 'string' },
        secure: { type: 'boolean', default: false },
        directory: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    return {
      nodes: Number(values.nodes) as 1 | 3,
      port: Number(values.port),
      secure: values.secure,
      ...(values.source !== undefined && { source: values.source as 'docker' | 'java' }),
      ...(values.directory !== undefined && { directory: values.directory }),
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}`);
    process.exit(2);
  }
}

function announcement({ source, brokers, security }: KafkaCluster): string {
  const lines = [
    `Kafka ${KAFKA_VERSION} runs (${source}), until Ctrl-C.`,
    `export KAFKA_BROKERS=${brokers.join()}`,
  ];
  if (security) {
    lines.push(
      `TLS, with ${security.caFile} as the certificate to trust, and SASL (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512)`,
      `as user ${security.username} with password ${security.password}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. */
async function interruption(): Promise<void> {
  const alive = setInterval(() => {}, 60_000);
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve).once('SIGTERM', resolve);
  });
  clearInterval(alive);
}

function fail(error: unknown): void {
  if (!(error instanceof KafkaBrokerError)) throw error;
  process.stderr.write(`error ${error.message} (${error.code})\n`);
  process.exitCode = error.code === 'KAFKA_BROKER_INVALID' ? 2 : 1;
}
