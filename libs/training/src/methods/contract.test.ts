/** The steps of every method do what its spec declares. */
import { type Item, type MethodName, methodNames, methods, parseRunConfig, specOf } from '@rlhf-streams/runs';
import { cpuEngine } from '@rlhf-streams/tensor';
import { describe, expect, it } from 'vitest';
import {
  begin,
  comparisonItem,
  episodeItem,
  itemsFor,
  runOf,
  trainingMethods,
} from '../tiny.test.support.js';
import { methodOf } from './index.js';
import type { Step } from './method.js';

/** Scores of two scorers, the second the gold one. */
const withParts = (item: Item): Item =>
  item.reward ? { ...item, reward: { ...item.reward, parts: { rm: item.reward.score, gold: 0.5 } } } : item;

describe.each(trainingMethods)('what is shown of a run of %s', (name) => {
  it('are metrics of its steps, and of its held-out items', async () => {
    const { progress, metrics: listed } = specOf(runOf(name));
    const run = await begin(runOf(name), cpuEngine());
    const metrics = await run.update(itemsFor(name, 4).map(withParts));
    expect(Object.keys(metrics)).toEqual(expect.arrayContaining(progress.step.map(([, metric]) => metric)));
    const heldOut = await run.evaluate(itemsFor(name, 3, 2));
    expect(Object.keys(heldOut)).toEqual(
      expect.arrayContaining(progress.heldOut.map(([, metric]) => metric)),
    );
    const unlisted = [...Object.keys(metrics), ...Object.keys(heldOut)].filter(
      (name) =>
        !listed.some((known) =>
          known.endsWith('/*') ? name.startsWith(known.slice(0, -1)) : name === known,
        ),
    );
    expect(unlisted).toEqual([]);
  });
});

const measuring = methodNames.filter((name) => methods[name].trains.length === 0);

it.each<MethodName>(measuring)('what is shown of a run of %s are metrics of its steps', async (name) => {
  const [example] = methods[name].config.meta()!.examples as [object];
  const models = { scorers: ['gold:bundled'], reference: 'run:sft' };
  const settings = methods[name].config.shape;
  const named = Object.entries(models).filter(([setting]) => setting in settings);
  const config = parseRunConfig({ ...example, ...Object.fromEntries(named) });
  const said = { logprobs: [-1, -2], reference: [-2, -1], score: 1 };
  const items =
    specOf(config).data.kind === 'prompts'
      ? [episodeItem('tiny/0/0/0', { promptTokens: [0], tokens: [1, 2] }, said)]
      : [comparisonItem('tiny/0/0', [0], [[1], [2]], { reference: [[-1], [-2]] })];
  const step = { config, step: 0, carry: {} } as Step<MethodName>;
  const { metrics } = await methodOf(name).update(step, items, {});
  const shown = specOf(config).progress.step.map(([, metric]) => metric);
  expect(Object.keys(metrics)).toEqual(expect.arrayContaining(shown));
});
