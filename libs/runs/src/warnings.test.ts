import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { methodNames } from './methods/index.js';
import { parseRunConfig, settingsByMethod } from './run-config.js';
import { warningRules, warningsOf, warningText } from './warnings.js';

const config = parseRunConfig({
  run: 'r',
  method: 'grpo',
  steps: 5,
  model: 'm',
  prompts: 'd',
  scorers: ['run:reward'],
  klBudget: 10,
});
const view = { config };

describe('a metric', () => {
  it('warns above its threshold, or below it, with the setting where that is one', () => {
    const metrics = { 'objective/kl': 10, 'completions/clipped_ratio': 0.5 };
    expect(warningsOf(view, metrics, undefined)).toEqual([]);
    expect(warningsOf(view, { ...metrics, 'objective/kl': 10.5 }, metrics)).toMatchObject([
      { metric: 'objective/kl', direction: 'above', value: 10.5, threshold: 10 },
    ]);
    expect(warningsOf(view, { ...metrics, 'objective/kl': -1.5 }, metrics)).toMatchObject([
      { metric: 'objective/kl', direction: 'below', value: -1.5, threshold: -1 },
    ]);
  });

  it('warns each time that it begins to pass, wherever the run was killed', () => {
    const values = fc.array(fc.constantFrom(0.2, 0.5, 0.6, 0.9), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(values, (values) => {
        const metricsAt = (step: number) => (step < 0 ? undefined : { frac_reward_zero_std: values[step]! });
        const warned = values.flatMap((_, step) =>
          warningsOf(view, metricsAt(step)!, metricsAt(step - 1)).length > 0 ? [step] : [],
        );
        const begins = values.flatMap((value, i) =>
          value > 0.5 && !(i > 0 && values[i - 1]! > 0.5) ? [i] : [],
        );
        expect(warned).toEqual(begins);
      }),
    );
  });

  it('says what it is, what it was to be, and what that means', () => {
    const [warning] = warningsOf(view, { 'completions/clipped_ratio': 0.61111 }, undefined);
    expect(warningText({ step: 3, ...warning! })).toMatch(
      /^step 3: completions\/clipped_ratio is 0\.611, above 0\.5: these completions were cut at their greatest length: /,
    );
  });
});

it('rows that were shortened are told once, by the first step', () => {
  const data = { read: 10, used: 10, cut: 1, dropped: {} };
  expect(warningsOf({ config, data }, {}, undefined)).toMatchObject([
    { metric: 'data/cut_ratio', value: 0.1, threshold: 0.05 },
  ]);
  expect(warningsOf({ config, data }, {}, {})).toEqual([]);
});

it('settings that are thresholds are settings of some method', () => {
  const named = new Set(methodNames.flatMap((name) => settingsByMethod()[name].map(({ path }) => path)));
  for (const { threshold } of warningRules)
    if (typeof threshold === 'string') expect(named).toContain(threshold);
});
