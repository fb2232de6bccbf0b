import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { config, openTestGateway, type TestClient } from './gateway.test.support.js';
import { isThere, lookAt, requestExperiment, requestRun } from './request-run.js';

let opened: TestClient;
beforeEach(async () => {
  opened = await openTestGateway();
});
afterEach(() => opened.close());

const requested = async () => {
  const all = [];
  for await (const { data } of opened.events.readAll(['runs'])) all.push(data);
  return all;
};

describe('a run', () => {
  it('is requested once, with the path as it was written, and another under its name is refused by its settings', async () => {
    expect(await isThere(opened.client, 'r', AbortSignal.timeout(60_000))).toBe(false);
    await requestRun(opened.client, config());
    await requestRun(opened.client, config({ seed: 0 }));
    expect(await isThere(opened.client, 'r', AbortSignal.timeout(60_000))).toBe(true);
    expect(await requested()).toMatchObject([{ run: 'r', config: { data: 'mine/rows.jsonl' } }]);

    await expect(requestRun(opened.client, config({ steps: 3, data: 'other.jsonl' }))).rejects.toMatchObject({
      code: 'CLI_RUN_EXISTS',
      message:
        'run r exists with another configuration, which differs in steps, data: give this one another name',
    });
    await expect(requestRun(opened.client, config({ steps: 0 }))).rejects.toMatchObject({
      code: 'TRAINING_CONFIG_INVALID',
    });
  });
});

describe('an experiment', () => {
  const set = (change: object = {}) => ({
    experiment: 'e',
    runs: [config(), config({ run: 's', model: 'run:r', ...change })],
  });

  it('is requested once, its runs with their paths as they were written, and looked at', async () => {
    await requestExperiment(opened.client, set());
    await requestExperiment(opened.client, set());
    expect(await requested()).toHaveLength(2);
    expect(await requested()).toMatchObject([
      { experiment: 'e', order: expect.any(Number), config: { data: 'mine/rows.jsonl' } },
      { experiment: 'e', order: expect.any(Number) },
    ]);
    const view = await lookAt(opened.client, 'e', AbortSignal.timeout(60_000));
    expect(view!.runs.map(({ run, waitsFor }) => [run, waitsFor])).toEqual([
      ['r', undefined],
      ['s', ['r']],
    ]);
  });

  it('is refused by what exists otherwise, by the names of its runs', async () => {
    await requestExperiment(opened.client, set());
    await expect(requestExperiment(opened.client, set({ steps: 9 }))).rejects.toMatchObject({
      code: 'CLI_RUN_EXISTS',
      message:
        'the runs of experiment e exist otherwise than it asks for them: give them other names\n  s.steps: expected 2, as the run has it, got 9',
    });
    await expect(requestExperiment(opened.client, set({ run: 'r', model: 'folder' }))).rejects.toMatchObject({
      code: 'TRAINING_CONFIG_INVALID',
      message: expect.stringContaining('runs[1].run: '),
    });
    await expect(
      requestExperiment(opened.client, { ...set({ run: 't', model: 'run:q' }), experiment: 'e' }),
    ).rejects.toMatchObject({ code: 'RUN_SOURCE_UNKNOWN', message: expect.stringContaining('got q') });
    expect(await requested()).toHaveLength(2);
  });
});

describe('a gateway that cannot answer yet', () => {
  const unready = () =>
    Response.json({ status: 503, code: 'RUN_NOT_CONFIRMED', title: 'Not confirmed' }, { status: 503 });

  it('is asked again', async () => {
    vi.useFakeTimers();
    try {
      const request = vi.fn(async () => (request.mock.calls.length < 3 ? unready() : Response.json({})));
      const requesting = requestRun({ request }, config());
      await vi.runAllTimersAsync();
      await requesting;
      expect(request).toHaveBeenCalledTimes(3);
    } finally {
      vi.useRealTimers();
    }
  });

  it('is asked no more once the signal says so', async () => {
    const end = new AbortController();
    const request = async () => {
      end.abort(new Error('enough'));
      return unready();
    };
    await expect(requestRun({ request }, config(), end.signal)).rejects.toThrow('enough');
  });
});
