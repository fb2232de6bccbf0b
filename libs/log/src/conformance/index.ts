import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import type { EventLog, Subscription } from '../port.js';
import { groupTests } from './groups.js';
import { type ConformanceOptions, type Harness, type LogUnderTest, uniqueName, until } from './harness.js';
import { lifeCycleTests } from './life-cycle.js';
import { publishingTests } from './publishing.js';
import { readingTests } from './reading.js';
import { rebalancingTests } from './rebalancing.js';
import { topicTests } from './topics.js';
import { transactionTests } from './transactions.js';
import { trimmingTests } from './trimming.js';

export {
  type ConformanceOptions,
  gate,
  type LogUnderTest,
  numbered,
  readAll,
  sum,
  textOf,
  uniqueName,
  until,
} from './harness.js';

const DEFAULT_DEADLINE_MS = 15_000;

/**
 * What every log must do, as a vitest suite. Topics, groups and transactional ids have names that no other test uses, so
 * that a live broker can be shared. Nothing is asked that a Kafka cluster could not do.
 */
export function logConformance(name: string, { create, timing = {} }: ConformanceOptions): void {
  const { deadlineMs = DEFAULT_DEADLINE_MS } = timing;

  describe(`conformance of the ${name} log`, { timeout: 4 * deadlineMs }, () => {
    let underTest: LogUnderTest;
    const subscriptions: Subscription[] = [];

    beforeAll(async () => {
      underTest = await create();
    }, deadlineMs);

    afterEach(async () => {
      await Promise.all(subscriptions.splice(0).map((subscription) => subscription.close()));
    }, deadlineMs);

    afterAll(async () => {
      await underTest?.log.close();
      await underTest?.cleanup();
    }, deadlineMs);

    const harness: Harness = {
      get log(): EventLog {
        return underTest.log;
      },
      create,
      async topic(partitions = 1, spec = {}) {
        const topic = uniqueName('topic');
        await underTest.log.ensureTopics([{ name: topic, partitions, cleanup: 'delete', ...spec }]);
        return topic;
      },
      async subscribe(options) {
        const subscription = await underTest.log.subscribe(options);
        subscriptions.push(subscription);
        return subscription;
      },
      until: (what, fact) => until(what, fact, deadlineMs),
    };

    topicTests(harness);
    publishingTests(harness);
    readingTests(harness);
    groupTests(harness);
    rebalancingTests(harness);
    transactionTests(harness);
    trimmingTests(harness);
    lifeCycleTests(harness);
  });
}
