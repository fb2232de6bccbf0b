import { createEvents, type NewEvent, topicSpecs } from '@rlhf-streams/bus';
import { memoryLog } from '@rlhf-streams/log';
import { parseRunConfig } from '@rlhf-streams/runs';
import { expect, it } from 'vitest';
import { changesTable, lastMetrics, metricsTable } from './tables.js';

const source = parseRunConfig({
  run: 'mine',
  method: 'ppo',
  model: 'm',
  prompts: 'p',
  scorers: ['gold:d'],
  steps: 9,
});
const replay = parseRunConfig({
  ...source,
  run: 'mine-replay-1',
  replay: 'mine',
  steps: 5,
  ppo: { klCoef: 0.1, adaptiveKl: { target: 3 } },
});

it('shows each setting that was changed once, before and after', () => {
  const table = changesTable(source, replay, [
    ['ppo.klCoef', 0.2],
    ['ppo.klCoef', 0.1],
    ['steps', 5],
    ['ppo.adaptiveKl.target', 3],
  ]);
  expect(table.split('\n')).toEqual([
    'setting                   mine  mine-replay-1',
    '---------------------------------------------',
    'ppo.klCoef                0.05            0.1',
    'steps                        9              5',
    'ppo.adaptiveKl.target  not set              3',
  ]);
});

it('shows the metrics that both have, as of the last step that reported each', async () => {
  const log = memoryLog();
  await log.ensureTopics(topicSpecs);
  const events = createEvents({ log, source: 'test' });
  const step = (run: string, step: number, metrics: Record<string, number>): NewEvent => ({
    type: 'step.completed',
    id: `${run}/${step}`,
    data: { run, step, policyVersion: step + 1, split: 'train', metrics },
  });
  await events.publish([
    step('mine', 0, { loss: 9, kl: 1, 'timing_s/update': 1 }),
    step('mine', 1, { loss: 0.123456789, kl: -2, own: 1 }),
    step('mine', 2, { 'eval/loss': 4 }),
    step('other', 3, { loss: 7 }),
    step('mine-replay-1', 0, { loss: 1e-7, kl: 3, 'eval/loss': 5, 'timing_s/update': 2 }),
  ]);
  const table = metricsTable(
    ['mine', await lastMetrics(events, 'mine')],
    ['mine-replay-1', await lastMetrics(events, 'mine-replay-1')],
  );
  await events.close();
  await log.close();
  expect(table.split('\n')).toEqual([
    'metric of the last step     mine  mine-replay-1  step',
    '-----------------------------------------------------',
    'loss                     0.12346           1e-7  2, 1',
    'kl                            -2              3  2, 1',
    'eval/loss                      4              5  3, 1',
  ]);
});
