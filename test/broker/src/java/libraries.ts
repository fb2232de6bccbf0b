import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { KafkaBrokerError } from '../errors.js';
import { KAFKA_VERSION } from '../version.js';

const POM = fileURLToPath(new URL('../../pom.xml', import.meta.url));
const DOWNLOAD_TIMEOUT_MS = 300_000;

/**
 * Fetches Kafka and its dependencies from Maven Central into `folder`, which appears only when it is whole: files come
 * into a folder beside it, which is then renamed. When several processes do this at the same time, one of them wins.
 * @throws KafkaBrokerError KAFKA_BROKER_UNAVAILABLE with what Maven said.
 */
export async function fetchLibraries(folder: string): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const arriving = await mkdtemp(`${folder}.`);
  try {
    await runMaven(arriving);
    await rename(arriving, folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(arriving, { recursive: true, force: true });
  }
}

async function runMaven(folder: string): Promise<void> {
  const options = ['--batch-mode', '--quiet', '--strict-checksums', '--file', POM];
  const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${folder}`];
  await promisify(execFile)('mvn', [...options, `-Dkafka.version=${KAFKA_VERSION}`, ...goal], {
    timeout: DOWNLOAD_TIMEOUT_MS,
  }).catch((cause: Error & { stdout?: string }) => {
    const message = `expected Maven to fetch Kafka ${KAFKA_VERSION}, but: ${cause.message}\n${cause.stdout ?? ''}`;
    throw new KafkaBrokerError('KAFKA_BROKER_UNAVAILABLE', message, { cause });
  });
}
