/** Global setup of the tests that need a Kafka broker: one for the whole run. */
import type { TestProject } from 'vitest/node';
import { kafkaForTests } from '../for-tests.js';
import './context.js';

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const cluster = await kafkaForTests();
  project.provide('kafka', cluster && { brokers: cluster.brokers, source: cluster.source });
  return cluster?.stop;
}
