/** A log and a bus over it for each test of a file, and events to put on it. */
import type { DataFor } from '@rlhf-streams/events';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { afterEach, beforeEach, expect, vi } from 'vitest';
import type { ConsumeOptions, Consumer } from './consume.js';
import { createEvents, type Events } from './events.js';
import type { NewEvent } from './publish.js';
import { topicSpecs } from './topics.js';

export type Scored = DataFor<'reward.scored'>;

export let log: EventLog;
export let events: Events;

/** Gives each test of the file that calls it a `log` and `events` of its own. */
export function useLog(): void {
  beforeEach(async () => {
    log = memoryLog();
    await log.ensureTopics(topicSpecs);
    events = createEvents({ log, source: 'reward' });
  });
  afterEach(async () => {
    await events.close();
    await log.close();
  });
}

/** A score of one rollout, all of one prompt, so that they share a partition and keep their order. */
export function scored(sample: number, score = sample): NewEvent {
  const data = {
    run: 'r',
    step: 0,
    prompt: 'r/0/0',
    rollout: `r/0/0/${sample}`,
    policyVersion: 0,
    score,
    parts: {},
  };
  return { type: 'reward.scored', data, id: `reward/r/0/0/${sample}` };
}

export const failed: NewEvent = {
  type: 'reward.failed',
  data: {
    run: 'r',
    step: 0,
    prompt: 'r/0/0',
    rollout: 'r/0/0/9',
    policyVersion: 0,
    cause: { code: 'SCORER', message: 'no' },
  },
  id: 'reward/r/0/0/9',
};

export const poison = (headers: Record<string, string> = { ce_type: 'reward.scored', ce_id: 'x' }) =>
  log.publish([{ topic: 'rewards', key: 'r/0/0', value: 'not json', headers }]);

export const consume = (
  options: Partial<ConsumeOptions<'rewards', 'reward.scored' | 'reward.failed'>>,
): Promise<Consumer> =>
  events.consume({ group: 'g', topics: ['rewards'], handle: async () => {}, retryDelayMs: 0, ...options });

export async function all<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of iterable) items.push(item);
  return items;
}

export const rejections = async (): Promise<DataFor<'record.rejected'>[]> =>
  (await all(createEvents({ log, source: 'reader' }).readAll(['dead-letters']))).map(({ data }) => data);

export const lag = async (group = 'g', topic = 'rewards', of = log): Promise<number> =>
  (await of.lag(group, [topic]))[topic]!.reduce((sum, each) => sum + each, 0);

export const committed = (group?: string, topic?: string, of?: EventLog) =>
  vi.waitFor(async () => expect(await lag(group, topic, of)).toBe(0), { timeout: 20_000, interval: 5 });

export function latch(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
