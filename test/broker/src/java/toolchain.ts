import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { KafkaBrokerError } from '../errors.js';
import { KAFKA_VERSION } from '../version.js';
import { fetchLibraries } from './libraries.js';

const OLDEST_JAVA = 17;
const VERSION_TIMEOUT_MS = 20_000;
const LIBRARIES = fileURLToPath(
  new URL(`../../../../node_modules/.cache/rlhf-streams/kafka-${KAFKA_VERSION}`, import.meta.url),
);

export interface JavaToolchain {
  readonly java: string;
  readonly keytool: string;
  /** A class path with the whole of Kafka. */
  readonly classPath: string;
}

/**
 * Java 17 or newer (of `JAVA_HOME`, or in the path), and Kafka's libraries: fetched by Maven once, then kept in
 * `node_modules/.cache`.
 * @throws KafkaBrokerError KAFKA_BROKER_UNAVAILABLE saying what is missing.
 */
export async function javaToolchain(): Promise<JavaToolchain> {
  const program = (name: string) => (process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', name) : name);
  const java = program('java');
  await checkJava(java);
  if (!existsSync(LIBRARIES)) await fetchLibraries(LIBRARIES);
  return { java, keytool: program('keytool'), classPath: join(LIBRARIES, '*') };
}

async function checkJava(java: string): Promise<void> {
  const wanted = `expected Java ${OLDEST_JAVA} or newer`;
  let text: string;
  try {
    text = (await promisify(execFile)(java, ['-version'], { timeout: VERSION_TIMEOUT_MS })).stderr;
  } catch (cause) {
    throw unavailable(`${wanted}, but ${java} cannot be run: ${(cause as Error).message}`, cause);
  }
  const major = Number(/version "(\d+)/.exec(text)?.[1]);
  if (!(major >= OLDEST_JAVA)) throw unavailable(`${wanted}, but ${java} is ${text.split('\n', 1)[0]}`);
}

const unavailable = (message: string, cause?: unknown) =>
  new KafkaBrokerError('KAFKA_BROKER_UNAVAILABLE', message, { cause });
