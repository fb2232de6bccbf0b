import type { ArtifactStore } from '@rlhf-streams/artifacts';
import { createEvents, type Events, topicSpecs } from '@rlhf-streams/bus';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { createLogger } from '@rlhf-streams/service';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { collectRegularly } from './garbage.js';

let log: EventLog;
let events: Events;
const stops: (() => void | Promise<void>)[] = [];
beforeEach(async () => {
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'coordinator' });
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await events.close();
  await log.close();
});

const model = { uri: `artifact:${'1'.repeat(64)}`, sha256: '1'.repeat(64) };
const request = { run: 'r', method: 'sft', steps: 1, model: model.uri, data: 'd' };

type Collect = ArtifactStore['collect'];

/** A replica of the coordinator, and what it collects. */
async function replica(intervalMs: number) {
  const collect = vi.fn<Collect>(async () => ({ artifacts: 1, blobs: 2, bytes: 3 }));
  await collectRegularly({
    settings: { RLHF_GC_INTERVAL_MS: intervalMs, RLHF_GC_GRACE_MS: 60_000 },
    log,
    events,
    artifacts: { collect } as unknown as ArtifactStore,
    logger: createLogger({ level: 'silent' }),
    onStop: (stop) => void stops.push(stop),
  });
  return collect;
}

describe('collecting regularly', () => {
  it('keeps what the log needs each time, as the log then is, and goes on after a failure', async () => {
    const collect = await replica(1);
    collect.mockRejectedValueOnce(new Error('the store is away'));
    await vi.waitFor(() => expect(collect).toHaveBeenCalledWith([], { graceMs: 60_000 }));
    await events.publish([{ type: 'run.requested', id: 'r/requested', data: { run: 'r', config: request } }]);
    await vi.waitFor(() => expect(collect).toHaveBeenLastCalledWith([model], { graceMs: 60_000 }), 10_000);
  });

  it('is done by one replica, and by another when that is gone', async () => {
    const replicas = [await replica(1), await replica(1)];
    const collects = () => replicas.filter((collect) => collect.mock.calls.length > 0);
    await vi.waitFor(() => expect(collects()).toHaveLength(1));
    const [first] = collects();
    const calls = first!.mock.calls.length;
    await vi.waitFor(() => expect(first!.mock.calls.length).toBeGreaterThan(calls + 3));
    expect(collects()).toHaveLength(1);
    await stops.splice(replicas.indexOf(first!), 1)[0]!();
    await vi.waitFor(() => expect(collects()).toHaveLength(2), 10_000);
  });

  it('is off unless it is asked for', async () => {
    const subscribe = vi.spyOn(log, 'subscribe');
    await replica(0);
    expect(subscribe).not.toHaveBeenCalled();
    expect(stops).toEqual([]);
  });
});
