import { describe, expect, it } from 'vitest';
import { methodDescriptions } from './descriptions.js';
import { methods } from './methods/index.js';
import { RunConfig, settingsByMethod } from './run-config.js';

describe('methods', () => {
  it('are all that a run may be of', () => {
    const names = RunConfig.options.map(({ shape }) => shape.method.value);
    expect(methodDescriptions().map(({ name }) => name)).toEqual(names);
  });

  it.each(methodDescriptions())(
    '$name says what it does, where it is from, and what it requires',
    (method) => {
      expect(method.description).toMatch(/^[A-Z].*\.$/);
      expect(method.source).toMatch(/\d{4}.*https:\/\/arxiv\.org\/abs\/\d{4}\.\d{5}$/);
      const { name } = method;
      const [example] = methods[name].config.meta()!.examples as object[];
      expect(RunConfig.parse(example)).toMatchObject({ method: name });
      const required = settingsByMethod()[name].filter(
        // Steps or epochs are required.
        ({ required, path }) => (required || path === 'steps') && !path.includes('.'),
      );
      expect(Object.keys(example!).sort()).toEqual(required.map(({ path }) => path).sort());
    },
  );

  it.each(Object.entries(settingsByMethod()))('every setting of %s has its meaning', (_, settings) => {
    expect(settings.filter(({ description }) => description.length < 5)).toEqual([]);
  });

  it('have their settings by path, those that are required first', () => {
    const ppo = methodDescriptions().find(({ name }) => name === 'ppo')!.settings;
    expect(ppo.slice(0, 6).map(({ path }) => path)).toEqual([
      'run',
      'method',
      'steps',
      'model',
      'prompts',
      'scorers',
    ]);
    expect(ppo.find(({ path }) => path === 'ppo.klCoef')).toMatchObject({
      type: 'number of at least 0',
      default: 0.05,
      required: false,
    });
    expect(ppo.find(({ path }) => path === 'ppo.adaptiveKl.target')).toMatchObject({ default: 6 });
  });

  it('tell the shape of a new model once', () => {
    for (const { settings } of methodDescriptions()) {
      const layers = settings.filter(({ path }) => path.endsWith('.layers'));
      expect(layers.map(({ path }) => path)).toEqual(['model.layers']);
    }
  });
});
