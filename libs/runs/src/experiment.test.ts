import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { experimentMistakes, parseExperiment } from './experiment.js';
import type { RunConfigInput } from './run-config.js';

const run = (name: string, ...sources: string[]): RunConfigInput => ({
  run: name,
  method: 'ppo',
  steps: 1,
  model: 'folder',
  prompts: 'bundled',
  scorers: ['gold:bundled', ...sources.map((source) => `run:${source}`)],
});
const set = (...runs: unknown[]) => ({ experiment: 'e', runs });
const said = (json: unknown) =>
  experimentMistakes(json).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('a set of runs', () => {
  it('is parsed with the defaults of its runs, in any order', () => {
    expect(parseExperiment(set(run('b', 'a'), run('a')))).toMatchObject({
      experiment: 'e',
      runs: [{ run: 'b', seed: 0 }, { run: 'a' }],
    });
    expect(parseExperiment({ ...set(run('a', 'elsewhere')), tags: { x: 'y' } }).tags).toEqual({ x: 'y' });
  });

  it('is refused with every mistake by its path', () => {
    const mistaken = { ...set(run('a'), { ...run('b'), steps: 0 }, 7), tag: 1 };
    expect(said(mistaken)).toEqual([
      ': no such key: tag (did you mean tags?)',
      'runs.1.steps: expected integer from 1 to 1000000, got 0',
      expect.stringMatching(/^runs\.2: expected/),
    ]);
    expect(() => parseExperiment(mistaken)).toThrow(/not an experiment:\n.*\n {2}runs\[1\]\.steps: /);
    for (const nothing of [null, undefined, 7, 'text', [], {}]) expect(said(nothing)).not.toEqual([]);
  });

  it('names each run once', () => {
    expect(said(set(run('a'), run('b'), run('a')))).toEqual([
      'runs.2.run: expected a name that no other run of the set has, got a, as runs[0] is called',
    ]);
  });

  it('has no circles: each is told once, where its first run names the next', () => {
    const circle =
      'expected runs that end before this one starts, got a circle in which each waits for the next';
    expect(said(set(run('x', 'a'), run('a', 'y', 'b'), run('b', 'c'), run('c', 'a'), run('y')))).toEqual([
      `runs.1.scorers.2: ${circle}: a, b, c, a`,
    ]);
    const replay = { run: 'p', method: 'sft', steps: 1, replay: 'p', model: 'm', data: 'd' };
    expect(said(set(replay))).toEqual([`runs.0.replay: ${circle}: p, p`]);
  });

  it('may be any graph whose runs build on earlier ones, and is a circle when its last is built on by its first', () => {
    const graph = fc.array(fc.array(fc.nat(30), { maxLength: 3 }), { minLength: 2, maxLength: 30 });
    fc.assert(
      fc.property(graph, (links) => {
        const runs = links.map((sources, n) =>
          run(
            `r${n}`,
            ...(n === 0 ? [] : [n - 1, ...sources.map((source) => source % n)]).map((s) => `r${s}`),
          ),
        );
        expect(said(set(...runs))).toEqual([]);
        const closed = [run('r0', `r${links.length - 1}`), ...runs.slice(1)];
        expect(said(set(...closed))).toHaveLength(1);
      }),
      { numRuns: 30 },
    );
  });
});
