/** What services rely on, of every method that there is. */
import { topics } from '@rlhf-streams/events';
import { describe, expect, it } from 'vitest';
import { namedModels } from '../named-models.js';
import { namedSources, parseRunConfig, type RunConfig, settingsByMethod } from '../run-config.js';
import { type MethodName, methodNames, methods, specOf } from './index.js';
import type { MethodSpec } from './spec.js';

const exampleOf = (name: MethodName): object => (methods[name].config.meta()!.examples as [object])[0];

/** A run that names a model for every role that its method has. */
function complete(name: MethodName): RunConfig {
  const example: Readonly<Record<string, unknown>> = { ...exampleOf(name) };
  const settings = methods[name].config.shape;
  const named = specOf(parseRunConfig(example))
    .models.filter(({ field }) => field in settings)
    .map(({ name: role, field }) => {
      const source = `run:the-${role}`;
      return [field, role === 'scorer' ? [source, 'gold:bundled'] : source];
    });
  return parseRunConfig({ ...example, ...Object.fromEntries(named) });
}

const at = (config: RunConfig, path: string): unknown =>
  path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], config);

describe.each(methodNames)('the spec of %s', (name) => {
  const spec: MethodSpec = methods[name];
  const config = complete(name);
  const { data, joins, ahead, onPolicy, publishEvery, ...rest } = specOf(config);

  it('is registered under the name that configurations have, and has an example that parses', () => {
    expect(spec.config.shape.method.value).toBe(name);
    expect(specOf(parseRunConfig(exampleOf(name)))).toMatchObject({ data: { kind: data.kind } });
  });

  it('has a role for every model and scorer that a configuration names, its own model first', () => {
    const models = namedModels(config);
    const sources = namedSources(config).filter(({ kind }) => kind !== 'data');
    const fieldOf = ([field, index]: readonly (string | number)[]) =>
      index === undefined ? field : `${field}[${index}]`;
    expect(models.map(({ field }) => field).sort()).toEqual(sources.map(({ path }) => fieldOf(path)).sort());
    expect(models.map(({ field, source }) => [field, source])).toEqual(
      expect.arrayContaining(sources.map(({ path, source }) => [fieldOf(path), source])),
    );
    expect(models[0]!.role.name).toBe('policy');
    expect(new Set(models.map(({ name }) => name)).size).toBe(models.length);
  });

  it('issues the data that a configuration names', () => {
    const sources = namedSources(config).filter(({ kind }) => kind === 'data');
    expect(sources.map(({ source }) => source)).toEqual([data.source]);
    expect(topics).toHaveProperty(data.kind);
    if (data.kind !== 'prompts') {
      const setting = settingsByMethod()[name].find(({ path }) => path === data.limit.setting);
      expect(setting).toMatchObject({ default: data.limit.tokens });
      expect(at(config, data.limit.setting)).toBe(data.limit.tokens);
    }
  });

  it("joins an item's own event first, then what its scorers and reference say", () => {
    expect(joins[0]).toBe(data.kind === 'prompts' ? 'rollouts' : data.kind);
    for (const topic of joins) expect(topics).toHaveProperty(topic);
    const roles = rest.models.map(({ name }) => name);
    expect(joins.includes('rewards')).toBe(roles.includes('scorer'));
    expect(joins.includes('reference-logprobs')).toBe(roles.includes('reference'));
  });

  it('joins nothing that a smallest run has no model for', () => {
    const smallest = parseRunConfig(exampleOf(name));
    const named = namedModels(smallest).map(({ role }) => role.name);
    const stoodFor = rest.models
      .filter(({ otherwise }) => otherwise === 'the policy')
      .map(({ name }) => name);
    const there = [...named, ...stoodFor];
    expect(specOf(smallest).joins.includes('rewards')).toBe(there.includes('scorer'));
    expect(specOf(smallest).joins.includes('reference-logprobs')).toBe(there.includes('reference'));
  });

  it('trains models that have a start, with an optimizer and settings of their own', () => {
    const { trains, hyperparameters, models } = rest;
    expect('optimizer' in config).toBe(trains.length > 0);
    expect(hyperparameters !== undefined).toBe(trains.length > 0);
    if (hyperparameters !== undefined) expect(config).toHaveProperty(hyperparameters);
    for (const { from } of trains) expect(models.map(({ name }) => name)).toContain(from);
    if (trains.length > 0)
      expect(rest.publishes).toBe(trains[0]!.head === 'language' ? 'policy' : 'reward model');
    if (onPolicy) expect([trains.length > 0, publishEvery]).toEqual([true, 1]);
    expect(rest.sequencesPerItem).toBeGreaterThan(0);
    expect(ahead).toBeGreaterThanOrEqual(0);
  });
});
