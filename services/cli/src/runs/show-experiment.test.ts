import { stripVTControlCharacters } from 'node:util';
import type { NewEvent } from '@rlhf-streams/bus';
import { parseExperiment } from '@rlhf-streams/runs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { config, openTestGateway, type TestClient } from './gateway.test.support.js';
import { showExperiment } from './show-experiment.js';

let opened: TestClient;
let output = '';
beforeEach(async () => {
  opened = await openTestGateway();
  output = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    output += text;
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await opened.close();
});

const experiment = parseExperiment({
  experiment: 'e',
  runs: [config(), config({ run: 's', model: 'run:r' }), config({ run: 't', model: 'run:r' })],
});
const started = (run: string): NewEvent => ({
  type: 'run.started',
  id: `${run}/started`,
  data: {
    run,
    config: {},
    steps: 2,
    testItems: 0,
    models: { policy: { base: { uri: 'a', sha256: 'a'.repeat(64) } } },
    artifacts: {},
    from: {},
  },
});
const step = (run: string, number: number): NewEvent => ({
  type: 'step.completed',
  id: `${run}/${number}`,
  data: { run, step: number, policyVersion: number + 1, split: 'train', metrics: {} },
});
const completed = (run: string): NewEvent => ({
  type: 'run.completed',
  id: `${run}/completed`,
  data: { run, steps: 2, policyVersion: 2 },
});
const lines = () =>
  stripVTControlCharacters(output)
    .replace(/ +[\d.]+ s +/g, ' ')
    .replace(/ +/g, ' ')
    .split('\n');
const said = (line: string) => vi.waitFor(() => expect(lines()).toContain(line), { timeout: 20_000 });
const show = (signal = new AbortController().signal) => {
  const done: string[] = [];
  const lines = {
    labelOf: ({ run }: { run: string }) => `run ${run}`,
    completed: ({ run }: { run: string }) => void done.push(run),
  };
  return { done, shown: showExperiment(opened.client, experiment, lines, signal) };
};

it('shows runs in their order, those too that ended while others were shown', async () => {
  const { done, shown } = show();
  await said('· run r begins');
  await opened.events.publish([started('r'), step('r', 0), step('r', 1), completed('r')]);
  await said('· run s begins');
  await opened.events.publish([started('t'), step('t', 0), step('t', 1), completed('t')]);
  await opened.events.publish([started('s'), step('s', 0), step('s', 1), completed('s')]);
  await shown;
  expect(lines()).toEqual([
    '· run r begins',
    '✓ run r 2/2 steps ',
    '· run s begins',
    '✓ run s 2/2 steps ',
    '· run t begins',
    '✓ run t 2/2 steps ',
    '',
  ]);
  expect(done).toEqual(['r', 's', 't']);
});

it('requests no run again, and goes on from what the log has', async () => {
  const first = new AbortController();
  const { shown } = show(first.signal);
  await said('· run r begins');
  await opened.events.publish([started('r'), step('r', 0), step('r', 1), completed('r')]);
  await said('· run s begins');
  first.abort(new Error('interrupted'));
  await expect(shown).rejects.toThrow('interrupted');
  expect(output).toMatch(/\n– run s /);
  output = '';
  const again = show();
  await said('· run s begins');
  await opened.events.publish([started('s'), completed('s'), started('t'), completed('t')]);
  await again.shown;
  expect(lines()[1]).toBe('✓ run r 2/2 steps ');
  const requests = [];
  for await (const { type } of opened.events.readAll(['runs']))
    if (type === 'run.requested') requests.push(type);
  expect(requests).toHaveLength(3);
});

it('ends with the first run in its order that failed, and its cause', async () => {
  const { shown } = show();
  await said('· run r begins');
  const cause = { code: 'DATA_NOT_FOUND', message: 'no rows' };
  const fails = (run: string): NewEvent => ({
    type: 'run.failed',
    id: `${run}/failed`,
    data: { run, cause },
  });
  await opened.events.publish([fails('t'), fails('r'), fails('s')]);
  await expect(shown).rejects.toMatchObject({
    code: 'CLI_RUN_FAILED',
    message: 'run r failed: no rows',
    cause,
  });
  expect(output).toMatch(/\n✗ run r /);
});
