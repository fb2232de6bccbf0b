import { expect, it } from 'vitest';
import { parseRunConfig, type RunConfig } from './run-config.js';
import { differences, sameRun } from './same-run.js';

const config = (change: object = {}): RunConfig =>
  parseRunConfig({ run: 'r', method: 'sft', steps: 2, model: { layers: 2 }, data: 'd', ...change });

it.each<[string, object]>([
  ['itself', {}],
  ['one that spells a default out', { seed: 0 }],
  ['one with a zero that JSON writes otherwise', { seed: -0 }],
])('a run is the same as %s', (_, change) => {
  expect(sameRun(config(), config(change))).toBe(true);
});

it('names every setting that differs, wherever it stands, with both values', () => {
  const other = config({ steps: 3, model: { layers: 4 }, allow: { cut: 1 }, optimizer: { beta1: 0.5 } });
  expect(sameRun(config(), other)).toBe(false);
  const both = differences(config(), other).map(({ path, values }) => [path, ...values]);
  expect(both.sort()).toEqual([
    ['allow.cut', 0.2, 1],
    ['model.layers', 2, 4],
    ['optimizer.beta1', 0.9, 0.5],
    ['steps', 2, 3],
  ]);
});

it('tells a setting of another kind by its name alone', () => {
  expect(differences(config({ testFraction: 0.1 }), config({ testFraction: 0.1, model: 'run:a' }))).toEqual([
    { path: 'model', values: [expect.objectContaining({ layers: 2 }), 'run:a'] },
  ]);
});
