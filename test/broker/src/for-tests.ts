import type { KafkaCluster } from './cluster.js';
import { KafkaBrokerError } from './errors.js';
import { liveNodes } from './ready.js';
import { startKafka } from './start.js';

/** The variables of the environment that decide where the broker comes from. */
export interface TestEnvironment {
  /** Brokers that run already, as host:port,host:port. */
  readonly KAFKA_BROKERS?: string | undefined;
  /** `1`: a test run without a broker fails. */
  readonly REQUIRE_KAFKA?: string | undefined;
}

/**
 * A Kafka for a test run: the one that `KAFKA_BROKERS` names, else one in Docker, else one of Java and Maven. Where none
 * can be had it is undefined, and a line on stderr says so.
 * @throws KafkaBrokerError KAFKA_BROKER_UNAVAILABLE when `KAFKA_BROKERS` does not answer, or `REQUIRE_KAFKA` is 1 and
 * there is none; KAFKA_BROKER_FAILED.
 */
export async function kafkaForTests(
  environment: TestEnvironment = process.env,
  start: typeof startKafka = startKafka,
): Promise<KafkaCluster | undefined> {
  if (environment.KAFKA_BROKERS)
    return named(environment.KAFKA_BROKERS.split(',').map((address) => address.trim()));
  return unlessUnavailable(
    start,
    (reason) =>
      `Kafka suites are skipped (${reason}). To run them start Docker, install Java 17 and Maven, or set KAFKA_BROKERS=host:port`,
    environment,
  );
}

/**
 * A cluster that one test file starts for itself. Where none can be had it is undefined, and what `skipped` returns
 * stands on stderr.
 * @throws KafkaBrokerError KAFKA_BROKER_UNAVAILABLE when `REQUIRE_KAFKA` is 1; KAFKA_BROKER_FAILED.
 */
export async function unlessUnavailable(
  start: () => Promise<KafkaCluster>,
  skipped: (reason: string) => string,
  environment: Pick<TestEnvironment, 'REQUIRE_KAFKA'> = process.env,
): Promise<KafkaCluster | undefined> {
  try {
    return await start();
  } catch (error) {
    const skip = environment.REQUIRE_KAFKA !== '1';
    if (!(error instanceof KafkaBrokerError && error.code === 'KAFKA_BROKER_UNAVAILABLE' && skip))
      throw error;
    process.stderr.write(`${skipped(oneLine(error.message))}\n`);
    return undefined;
  }
}

async function named(brokers: string[]): Promise<KafkaCluster> {
  const answer = await liveNodes(brokers);
  if ('error' in answer) {
    throw new KafkaBrokerError(
      'KAFKA_BROKER_UNAVAILABLE',
      `expected a broker at KAFKA_BROKERS=${brokers.join()}, but: ${answer.error.message}`,
      { cause: answer.error },
    );
  }
  return { brokers, source: 'environment', nodes: [], stop: async () => {} };
}

const MAX_REASON_CHARACTERS = 500;

const oneLine = (text: string) => text.trim().replace(/\s+/g, ' ').slice(0, MAX_REASON_CHARACTERS);
