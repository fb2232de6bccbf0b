import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filesystemArtifacts } from '@rlhf-streams/artifacts';
import { createEvents, type Events, type NewEvent, topicSpecs } from '@rlhf-streams/bus';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { createLogger } from '@rlhf-streams/service';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Client } from '../place/client.js';
import { type InProcessGateway, inProcessGateway } from '../place/in-process-gateway.js';
import { followRun, type RunObserver } from './follow-run.js';
import { isThere, requestRun } from './request-run.js';

const config = (change: object = {}): RunConfigInput => ({
  run: 'r',
  method: 'sft',
  steps: 2,
  model: { layers: 1 },
  data: 'mine/rows.jsonl',
  ...change,
});

describe('a run on a log', () => {
  let folder: string;
  let log: EventLog;
  let events: Events;
  let gateway: InProcessGateway;
  let client: Pick<Client, 'request' | 'failed' | 'troubles'>;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'follow-run-'));
    log = memoryLog();
    await log.ensureTopics(topicSpecs);
    events = createEvents({ log, source: 'test' });
    gateway = open();
    client = { ...gateway, troubles: async () => [] };
  });
  afterEach(async () => {
    await gateway.close();
    await events.close();
    await log.close();
    await rm(folder, { recursive: true });
  });

  const open = (): InProcessGateway =>
    inProcessGateway({
      log,
      artifacts: filesystemArtifacts({ directory: folder }),
      environment: { RLHF_DATA_DIR: folder },
      logger: createLogger({ level: 'silent' }),
    });
  const started: NewEvent = {
    type: 'run.started',
    id: 'r/started',
    data: {
      run: 'r',
      config: {},
      steps: 2,
      testItems: 0,
      models: { policy: { base: { uri: 'a', sha256: 'a'.repeat(64) } } },
      artifacts: {},
      from: {},
    },
  };
  const step = (number: number): NewEvent => ({
    type: 'step.completed',
    id: `r/${number}`,
    data: { run: 'r', step: number, policyVersion: number + 1, split: 'train', metrics: {} },
  });
  const completed: NewEvent = {
    type: 'run.completed',
    id: 'r/completed',
    data: { run: 'r', steps: 2, policyVersion: 2 },
  };
  const failed: NewEvent = {
    type: 'run.failed',
    id: 'r/failed',
    data: { run: 'r', cause: { code: 'DATA_NOT_FOUND', message: 'no rows' } },
  };
  /** What an observer was told, in its order. */
  const observed = (): { readonly told: unknown[]; readonly observer: RunObserver } => {
    const told: unknown[] = [];
    return {
      told,
      observer: { started: () => told.push('started'), step: ({ step }) => told.push(step) },
    };
  };

  it('is requested anew when it ended before it was started', async () => {
    await requestRun(client, config());
    await events.publish([failed]);
    await expect(followRun(client, 'r', {})).rejects.toMatchObject({
      code: 'CLI_RUN_FAILED',
      cause: { code: 'DATA_NOT_FOUND' },
    });
    expect(await isThere(client, 'r', AbortSignal.timeout(60_000))).toBe(false);
    await requestRun(client, config({ steps: 3 }));
    await events.publish([started, completed]);
    await expect(followRun(client, 'r', {})).resolves.toMatchObject({ run: 'r' });
  });

  it('is told from its beginning, each step once however often it was done', async () => {
    await requestRun(client, config());
    await events.publish([started, step(0), step(1), step(0), step(1), completed]);
    const { told, observer } = observed();
    await followRun(client, 'r', observer);
    expect(told).toEqual(['started', 0, 1]);
  });

  it('is told what it waits for now, and not what it waited for before', async () => {
    const waiting = (sinceMs: number): NewEvent => ({
      type: 'run.waiting',
      id: `r/waiting/${sinceMs}`,
      data: { run: 'r', step: 0, waitingFor: { rewards: 1 }, sinceMs, deadlineMs: 9 },
    });
    await requestRun(client, config());
    await events.publish([started, waiting(1)]);
    const told: unknown[] = [];
    const { observer } = observed();
    const following = followRun(client, 'r', {
      ...observer,
      started: () => told.push('started'),
      waiting: ({ sinceMs }) => told.push(sinceMs),
    });
    const begun = Date.now();
    await vi.waitFor(() => expect(told).toEqual(['started']));
    await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(begun));
    await events.publish([waiting(2), completed]);
    await following;
    expect(told).toEqual(['started', 2]);
  });

  it('goes on to be told where a stream was cut', async () => {
    await requestRun(client, config());
    await events.publish([started, step(0)]);
    const asked: (string | null)[] = [];
    let current = gateway;
    const { told, observer } = observed();
    const following = followRun(
      {
        ...client,
        request: (path, init) => {
          asked.push(new Headers(init?.headers).get('last-event-id'));
          return current.request(path, init);
        },
      },
      'r',
      observer,
    );
    await vi.waitFor(() => expect(told).toEqual(['started', 0]));
    const first = current;
    current = gateway = open();
    await first.close();
    await events.publish([step(1), completed]);
    await following;
    expect(told).toEqual(['started', 0, 1]);
    expect(asked[0]).toBeNull();
    expect(asked.at(-1)).toMatch(/~/);
  });

  it('is followed no longer than the signal lets it, or the gateway lives', async () => {
    await requestRun(client, config());
    const end = new AbortController();
    const following = followRun(client, 'r', {}, end.signal);
    end.abort(new Error('enough'));
    await expect(following).rejects.toThrow('enough');

    const broken = Promise.resolve({ service: 'policy', error: new Error('out of memory') });
    await expect(followRun({ ...client, failed: broken }, 'r', {})).rejects.toMatchObject({
      code: 'CLI_SERVICE_FAILED',
      message: 'service policy failed: out of memory',
    });
  });

  it('that nobody requested is a mistake', async () => {
    await expect(followRun(client, 'nobody', {})).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  });
});

it('tells of a quiet run what the services say it waits for, without its name and once', async () => {
  vi.useFakeTimers();
  try {
    const client = {
      request: async () => new Response(new ReadableStream()),
      failed: new Promise<never>(() => {}),
      troubles: async () => ['run r waits: ENOSPC', 'ENOSPC', 'run other waits: EIO'],
    };
    const paused = vi.fn();
    const end = new AbortController();
    const following = followRun(client, 'r', { paused }, end.signal);
    await vi.advanceTimersByTimeAsync(10_500);
    end.abort(new Error('enough'));
    await expect(following).rejects.toThrow('enough');
    expect(paused).toHaveBeenCalledWith('ENOSPC; run other waits: EIO');
  } finally {
    vi.useRealTimers();
  }
});
