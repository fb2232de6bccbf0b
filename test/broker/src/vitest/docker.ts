/** Global setup of the tests that need a Docker engine. */
import type { TestProject } from 'vitest/node';
import { whyNoDockerEngine } from '../docker/engine.js';
import { KafkaBrokerError } from '../errors.js';
import './context.js';

export default async function setup(project: TestProject): Promise<void> {
  const reason = await whyNoDockerEngine();
  project.provide('docker', reason === undefined);
  if (reason === undefined) return;
  if (process.env.REQUIRE_DOCKER === '1') throw new KafkaBrokerError('KAFKA_BROKER_UNAVAILABLE', reason);
  process.stderr.write(`Docker suites are skipped (${reason}). To run them start Docker\n`);
}
