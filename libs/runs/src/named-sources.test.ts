import { RunId, ScorerName } from '@rlhf-streams/events';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { dataSpecOf, specOf } from './methods/index.js';
import { sourcesIn } from './named-sources.js';
import { namedSources, parseRunConfig, RunConfig, runConfigMistakes } from './run-config.js';
import { DataSource, sourceKinds } from './source-schemas.js';
import { sourceText } from './sources.js';

describe('the sources of a configuration', () => {
  it('are found wherever it names them', () => {
    const ppo = parseRunConfig({
      run: 'r',
      method: 'ppo',
      steps: 1,
      model: 'm',
      reference: 'run:ref',
      value: { layers: 1 },
      prompts: 'p.jsonl',
      scorers: ['s', 'gold:g.jsonl', { scorer: 'run:rm' }, { ensemble: { members: ['m1', 'declared:d'] } }],
    });
    expect(namedSources(ppo)).toEqual(
      expect.arrayContaining([
        { kind: 'model', path: ['model'], source: { from: 'path', path: 'm' }, text: 'm' },
        { kind: 'model', path: ['reference'], source: { from: 'run', run: 'ref' }, text: 'run:ref' },
        {
          kind: 'model',
          path: ['value'],
          source: { from: 'new', shape: expect.objectContaining({ layers: 1 }) },
          text: '{ layers: 1, width: 128, heads: 4, contextLength: 64, vocabSize: 512 }',
        },
        { kind: 'data', path: ['prompts'], source: { from: 'path', path: 'p.jsonl' }, text: 'p.jsonl' },
        { kind: 'scorer', path: ['scorers', 0], source: { from: 'path', path: 's' }, text: 's' },
        {
          kind: 'scorer',
          path: ['scorers', 1],
          source: { from: 'gold', data: { from: 'path', path: 'g.jsonl' } },
          text: 'gold:g.jsonl',
        },
        {
          kind: 'scorer',
          path: ['scorers', 2, 'scorer'],
          source: { from: 'run', run: 'rm' },
          text: 'run:rm',
        },
        {
          kind: 'scorer',
          path: ['scorers', 3, 'ensemble', 'members', 0],
          source: { from: 'path', path: 'm1' },
          text: 'm1',
        },
        {
          kind: 'scorer',
          path: ['scorers', 3, 'ensemble', 'members', 1],
          source: { from: 'declared', name: 'd' },
          text: 'declared:d',
        },
      ]),
    );
    expect(namedSources(ppo)).toHaveLength(9);
    const sft = parseRunConfig({ run: 'r', method: 'sft', steps: 1, model: 'm', data: 'bundled' });
    expect(namedSources(sft)).toContainEqual({
      kind: 'data',
      path: ['data'],
      source: { from: 'bundled' },
      text: 'bundled',
    });
  });

  /** Paths of the settings within a schema that are free text, but for sources, names of scorers and ids of runs. */
  function texts(schema: z.core.$ZodType, path: string): string[] {
    const isId = [RunId, ScorerName].some((id) => schema === id || schema._zod.parent === id);
    if (isId || sourceKinds.get(schema)) return [];
    if (schema instanceof z.ZodString) return [path];
    if (schema instanceof z.ZodUnion) return schema.options.flatMap((option) => texts(option, path));
    if (schema instanceof z.ZodObject)
      return Object.entries(schema.shape).flatMap(([name, inner]) => texts(inner, `${path}.${name}`));
    if (schema instanceof z.ZodArray) return texts(schema.element, `${path}[]`);
    if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
      return texts(schema.def.innerType, path);
    if (schema instanceof z.ZodRecord || schema instanceof z.ZodUnknown || schema instanceof z.ZodPipe)
      return [path];
    return [];
  }

  it('are never passed over within a schema of another sort', () => {
    const schema = z.record(z.string(), DataSource);
    expect(() => sourcesIn(schema, { train: '/etc/passwd' })).toThrow(/record/);
  });

  it('are all the text it holds, but for names of runs, metrics, columns and modules, patterns and templates', () => {
    const isFree = (path: string) =>
      /[.](metric|matches|keep\[\]|template|(targetModules|modulesToSave)(\[\])?)$/.test(path);
    expect(texts(RunConfig, 'config').filter((path) => !isFree(path))).toEqual([]);
  });
});

it('finds each of a list of files, which is one source of data', () => {
  const data = ['shards/*.parquet', 'more.jsonl'];
  const config = parseRunConfig({ run: 'r', method: 'dpo', steps: 1, model: 'm', data });
  expect(namedSources(config).filter(({ kind }) => kind === 'data')).toEqual(
    data.map((path, i) => ({ kind: 'data', path: ['data', i], source: { from: 'path', path }, text: path })),
  );
  expect(dataSpecOf(specOf(config)).source).toEqual({ from: 'files', paths: data });
  expect(sourceText({ from: 'files', paths: data })).toBe('shards/*.parquet, more.jsonl');
  expect(runConfigMistakes({ ...config, data: ['run:a', 'b.jsonl'] })).toMatchObject([
    { path: ['data'], message: expect.stringMatching(/expected files, folders and patterns of files alone/) },
  ]);
});
