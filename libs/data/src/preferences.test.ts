import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allPairs, bestFirst, bestVersusRest, type Ranking } from './preferences.js';

const names = (count: number) => Array.from({ length: count }, (_, index) => `c${index}`);
const byRewards = (rewards: number[]): Ranking => ({
  prompt: 'p',
  completions: names(rewards.length),
  rewards,
});
const sides = (pairs: ReturnType<typeof allPairs>) =>
  pairs.map(({ chosen, rejected }) => `${chosen}>${rejected}`);

describe('pairs of a ranking', () => {
  it('sets every better completion against every worse one, best first', () => {
    const ranking: Ranking = { prompt: 'p', completions: names(3), ranks: [2, 1, 3] };
    expect(sides(allPairs(ranking))).toEqual(['c1>c0', 'c1>c2', 'c0>c2']);
    expect(sides(bestVersusRest(ranking))).toEqual(['c1>c0', 'c1>c2']);
    expect(allPairs(ranking)[0]).toEqual({ prompt: 'p', chosen: 'c1', rejected: 'c0' });
  });

  it('reads ranks as 1 is best and rewards as more is better', () => {
    expect(bestFirst({ prompt: 'p', completions: names(3), ranks: [3, 1, 2] })).toEqual([1, 2, 0]);
    expect(bestFirst(byRewards([3, 1, 2]))).toEqual([0, 2, 1]);
  });

  it('skips ties', () => {
    expect(sides(allPairs(byRewards([1, 5, 5, 1])))).toEqual(['c1>c0', 'c1>c3', 'c2>c0', 'c2>c3']);
    expect(sides(bestVersusRest(byRewards([1, 5, 5, 1])))).toEqual(['c1>c0', 'c1>c3']);
    expect(allPairs(byRewards([2, 2]))).toEqual([]);
  });

  it('gives the difference of rewards as margin when asked', () => {
    expect(bestVersusRest(byRewards([0.5, 2]), { margin: true })[0]?.margin).toBe(1.5);
    expect(bestVersusRest(byRewards([0.5, 2]))[0]).not.toHaveProperty('margin');
    expect(
      allPairs({ prompt: 'p', completions: names(2), ranks: [1, 2] }, { margin: true })[0],
    ).not.toHaveProperty('margin');
  });

  it('makes C(K,2) pairs less the tied ones, all of them ordered by reward', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 2, maxLength: 9 }), (rewards) => {
        const pairs = allPairs(byRewards(rewards));
        const untied = rewards.flatMap((a, i) => rewards.slice(i + 1).filter((b) => b !== a)).length;
        expect(pairs).toHaveLength(untied);
        const reward = (name: unknown) => rewards[Number(String(name).slice(1))]!;
        for (const { chosen, rejected } of pairs) expect(reward(chosen)).toBeGreaterThan(reward(rejected));
        const best = Math.max(...rewards);
        expect(bestVersusRest(byRewards(rewards))).toHaveLength(rewards.filter((r) => r < best).length);
      }),
    );
  });
});
