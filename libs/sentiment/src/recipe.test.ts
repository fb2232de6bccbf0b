import { parseRunConfig, scorersOf } from '@rlhf-streams/runs';
import { describe, expect, it } from 'vitest';
import { recipe } from './recipe.js';

describe.each([
  ['short', true],
  ['whole', false],
])('the %s recipe', (_, short) => {
  const stages = recipe({ data: 'reviews.jsonl', seed: 3, short });
  const configs = stages.flatMap(({ runs }) => runs).map(parseRunConfig);

  it('is made of valid runs, each named once, with the seed of the experiment', () => {
    const names = configs.map(({ run }) => run);
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(configs.map(({ seed }) => seed))).toEqual(new Set([3]));
  });

  it('lets every run lose as much of the data as asked, and by default what a run may', () => {
    const allow = { cut: 1, dropped: 0.5 };
    const runs = recipe({ data: 'reviews.jsonl', seed: 3, short, allow }).flatMap(({ runs }) => runs);
    expect(runs.map(parseRunConfig).map(({ allow }) => allow)).toEqual(runs.map(() => allow));
    for (const { runs } of stages) for (const run of runs) expect(run).not.toHaveProperty('allow');
  });

  it('makes the model that all others come from of the architecture asked for', () => {
    const runs = recipe({ data: 'reviews.jsonl', seed: 3, short, architecture: 'llama' }).flatMap(
      ({ runs }) => runs,
    );
    const shapes = runs
      .map(parseRunConfig)
      .flatMap(({ model }) => (typeof model === 'string' ? [] : [model]));
    expect(shapes).toMatchObject([{ architecture: 'llama' }]);
    expect(configs[0]).toMatchObject({ model: { architecture: 'gpt2' } });
  });

  it('trains adapters where they are asked for, on the SFT model alone', () => {
    const runs = recipe({ data: 'reviews.jsonl', seed: 3, short, lora: true }).flatMap(({ runs }) => runs);
    const adapted = runs.map(parseRunConfig).filter((run) => 'peft' in run && run.peft !== undefined);
    expect(adapted.map(({ run, model }) => [run, model])).toEqual(
      ['reward', 'ppo', 'dpo'].map((run) => [run, 'run:sft']),
    );
    for (const config of configs) expect(config).not.toHaveProperty('peft.r');
  });

  it('builds only on runs done before', () => {
    configs.forEach((config, i) => {
      const named = [JSON.stringify(config).matchAll(/"run:([^"]+)"/g)].flatMap((all) =>
        [...all].map(([, run]) => run),
      );
      const before = configs.slice(0, i).map(({ run }) => run);
      expect(before).toEqual(expect.arrayContaining(named));
    });
  });

  it('never trains on the gold reward: it ranks the comparisons, and else only watches', () => {
    const trained = configs.filter(({ method }) => method === 'ppo');
    for (const config of trained)
      for (const { weight, name } of scorersOf(config)) expect(weight === 0).toBe(name === 'gold');
    expect(JSON.stringify(configs.filter(({ method }) => method === 'dpo'))).not.toContain('gold:');
  });

  it('evaluates every policy on the same held-out prompts', () => {
    const evaluations = stages.at(-1)!.runs.map(({ run: _, model, ...rest }) => rest);
    for (const evaluation of evaluations)
      expect(evaluation).toEqual({ ...evaluations[0], testPrompts: true });
  });
});
