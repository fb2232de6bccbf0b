import { createEvents, type Events, type NewEvent, topicSpecs } from '@rlhf-streams/bus';
import type { DataFor } from '@rlhf-streams/events';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPublished } from './published.js';

let log: EventLog;
let events: Events;
beforeEach(async () => {
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'optimizer' });
});
afterEach(async () => {
  await events.close();
  await log.close();
});

const model = { base: { uri: 'artifact:a', sha256: 'a'.repeat(64) } };
const version = (run: string, version: number): DataFor<'policy.published'> => ({
  run,
  version,
  step: version,
  model,
});
const published = (run: string, n: number): NewEvent => ({
  type: 'policy.published',
  id: `${run}/version/${n}`,
  data: version(run, n),
});
const completed = (run: string, step: number): NewEvent => ({
  type: 'step.completed',
  id: `${run}/${step}`,
  data: { run, step, policyVersion: step + 1, split: 'train', metrics: {} },
});
const read = (run: string, from = {}) => readPublished(events, { run, from }, new AbortController().signal);

describe('readPublished', () => {
  it('finds nothing of a new run', async () => {
    expect(await read('mine')).toEqual({ stepsCompleted: 0 });
  });

  it('finds the newest version and the steps done, of this run alone', async () => {
    await events.publish([published('mine', 0), published('mine', 1), published('other', 9)]);
    await events.publish([completed('mine', 0), completed('mine', 1), completed('other', 41)]);
    expect(await read('mine')).toMatchObject({ policy: version('mine', 1), stepsCompleted: 2 });
  });

  it('is not misled by an older version published again', async () => {
    await events.publish([
      published('mine', 2),
      published('mine', 0),
      completed('mine', 1),
      completed('mine', 0),
    ]);
    expect(await read('mine')).toMatchObject({ policy: version('mine', 2), stepsCompleted: 2 });
  });

  it('reads on from where the run began', async () => {
    await events.publish([completed('mine', 5)]);
    const { latest } = await log.positions(['policy-versions', 'training-metrics']);
    await events.publish([completed('mine', 0), published('mine', 1)]);
    expect(await read('mine', latest)).toMatchObject({ policy: version('mine', 1), stepsCompleted: 1 });
  });

  it('fails with the reason when it is cut short: an unread log must not look like a new run', async () => {
    await events.publish([published('mine', 3)]);
    const cut = AbortSignal.abort(new Error('the owner changed'));
    await expect(readPublished(events, { run: 'mine', from: {} }, cut)).rejects.toThrow('the owner changed');
  });
});
