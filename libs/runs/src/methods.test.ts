import { describe, expect, it } from 'vitest';
import { methods } from './methods.js';
import { RunConfig, settingsByMethod } from './run-config.js';

describe('methods', () => {
  it('are all that a run may be of', () => {
    const names = RunConfig.options.map(({ shape }) => shape.method.value);
    expect(methods().map(({ name }) => name)).toEqual(names);
  });

  it.each(methods())('$name says what it does, where it is from, and what it requires', (method) => {
    expect(method.description).toMatch(/^[A-Z].*\.$/);
    expect(method.source).toMatch(/\d{4}.*https:\/\/arxiv\.org\/abs\/\d{4}\.\d{5}$/);
    const { name } = method;
    const [example] = RunConfig.options.find(({ shape }) => shape.method.value === name)!.meta()!
      .examples as object[];
    expect(RunConfig.parse(example)).toMatchObject({ method: name });
    const required = settingsByMethod()[name].filter(({ required, path }) => required && !path.includes('.'));
    expect(Object.keys(example!).sort()).toEqual(required.map(({ path }) => path).sort());
  });

  it.each(Object.entries(settingsByMethod()))('every setting of %s has its meaning', (_, settings) => {
    expect(settings.filter(({ description }) => description.length < 5)).toEqual([]);
  });

  it('have their settings by path, those that are required first', () => {
    const ppo = methods().find(({ name }) => name === 'ppo')!.settings;
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
    for (const { settings } of methods()) {
      const layers = settings.filter(({ path }) => path.endsWith('.layers'));
      expect(layers.map(({ path }) => path)).toEqual(['model.layers']);
    }
  });
});
