import { parseRunConfig, type RunView } from '@rlhf-streams/runs';
import { describe, expect, it } from 'vitest';
import { refuseCircle } from './sources.js';

const configured = (run: string, ...sources: string[]) =>
  parseRunConfig({
    run,
    method: 'ppo',
    steps: 1,
    model: 'folder',
    prompts: 'bundled',
    scorers: ['gold:bundled', ...sources.map((source) => `run:${source}`)],
  });

const state = (runs: Record<string, readonly string[]>, status: RunView['status'] = 'requested') =>
  new Map(
    Object.entries(runs).map(([run, sources]) => [
      run,
      {
        run,
        status,
        config: configured(run, ...sources),
        partition: 0,
        requestOffset: 0,
        testItems: 0,
        from: {},
        requestedAt: 0,
      },
    ]),
  );

describe('runs that build on each other', () => {
  it('in a circle are refused, with the way round', () => {
    const runs = state({ a: ['x', 'b'], b: ['x', 'c'], c: ['a'], x: [] });
    expect(() => refuseCircle(runs, runs.get('a')!.config)).toThrow(
      /got a circle in which each waits for the next: a, b, c, a$/,
    );
  });

  it('may be built on by several, and be built on a circle that has ended', () => {
    const runs = state({ a: ['b', 'c'], b: ['d'], c: ['d'], d: [] });
    expect(() => refuseCircle(runs, runs.get('a')!.config)).not.toThrow();
    const over = state({ a: ['b'], b: ['a'] }, 'cancelled');
    expect(() => refuseCircle(over, over.get('a')!.config)).not.toThrow();
  });

  it('may name runs that are not known yet, and wait for a circle of others without going round for ever', () => {
    const runs = state({ a: ['b', 'z'], b: ['c'], c: ['b'] });
    expect(() => refuseCircle(runs, runs.get('a')!.config)).not.toThrow();
  });
});
