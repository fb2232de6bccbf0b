import { type Engine, onnxPool } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  begin,
  bitsOf,
  comparisonItem,
  itemsFor,
  logprobsOf,
  runOf,
  type TinyRun,
  tokenSource,
} from '../tiny.test.support.js';
import { pairsOf } from './pairs.js';

let pool: Engine;
beforeAll(() => {
  pool = onnxPool({ workers: 1 });
});
afterAll(() => pool.close());

const K = [[1], [2], [3], [4]];
const tokensOf = (ranks: readonly number[]) =>
  pairsOf([comparisonItem('tiny/0/0', [0], K.slice(0, ranks.length), { ranks })]).map(
    ({ chosen, rejected, places }) => ({
      chosen: chosen.tokens,
      rejected: rejected.tokens,
      places,
    }),
  );

describe('the pair of a comparison', () => {
  it('is the better completion and the worse one', () => {
    expect(tokensOf([1, 2])).toEqual([{ chosen: [1], rejected: [2], places: [0, 1] }]);
    expect(tokensOf([2, 1])).toEqual([{ chosen: [2], rejected: [1], places: [1, 0] }]);
  });

  it('is the best and the worst of several', () => {
    expect(tokensOf([3, 1, 4, 2])).toEqual([{ chosen: [2], rejected: [3], places: [1, 2] }]);
    expect(tokensOf([1, 1, 2, 2])).toEqual([{ chosen: [1], rejected: [4], places: [0, 3] }]);
  });

  it('is none for a tie', () => {
    expect(tokensOf([1, 1])).toEqual([]);
    expect(tokensOf([2, 2, 2])).toEqual([]);
  });

  it('is none for a completion against itself, by its tokens', () => {
    const tokensOf = (completions: number[][]) =>
      pairsOf([comparisonItem('tiny/0/0', [0], completions)]).map(({ places }) => places);
    const [ab, ba] = [
      [1, 2],
      [2, 1],
    ];
    for (const same of [
      [ab, ab],
      [ab, [3], ab],
      [[], []],
    ])
      expect(tokensOf(same)).toEqual([]);
    for (const apart of [
      [ab, [1]],
      [[1], ab],
      [ab, ba],
    ])
      expect(tokensOf(apart)).toEqual([[0, 1]]);
  });

  it('has the margin of the comparison, 0 where none is given', () => {
    const margins = pairsOf([comparisonItem('a', [0], K, { margin: 0.5 }), comparisonItem('b', [0], K)]).map(
      ({ margin }) => margin,
    );
    expect(margins).toEqual([0.5, 0]);
  });
});

const tie = comparisonItem('tiny/0/9', [0], [[1, 2], [3]], { ranks: [1, 1], reference: [[-1, -1], [-2]] });
const twice = <T>(of: T): T[] => [of, of];
const itself = comparisonItem('tiny/0/9', [0, 5], twice([1, 2, 3]), { reference: twice([-1, -1, -2]) });

describe.each([
  ['reward', 'ties', tie],
  ['dpo', 'ties', tie],
  ['reward', 'completions against themselves', itself],
  ['dpo', 'completions against themselves', itself],
] as const)('in a %s run, %s', (method, _, silent) => {
  const ended = async (use: (run: TinyRun) => Promise<unknown>) => {
    const config = runOf(method, {
      ...(method === 'reward' && { reward: { centerRewardsCoefficient: 0.01 } }),
    });
    const run = await begin(config, pool);
    const said = await use(run);
    const bits = await bitsOf(run);
    await run.trainer.close();
    return { said, bits };
  };

  it('change nothing', async () => {
    const items = itemsFor(method, 3);
    const without = await ended((run) => run.update(items));
    expect(without.said).toMatchObject({ pairs: 3 });
    expect(await ended((run) => run.update([silent, ...items, silent]))).toEqual(without);
  });

  it('alone are a step without an update, and an evaluation of nothing', async () => {
    expect((await ended((run) => run.update([silent, ...itemsFor(method, 3)]))).said).toMatchObject({
      pairs: 3,
    });
    const before = await ended(async () => ({ pairs: 0 }));
    expect(await ended((run) => run.update([silent, silent]))).toEqual(before);
    expect((await ended((run) => run.evaluate([silent]))).said).toEqual({ 'eval/pairs': 0 });
  });
});

describe('dpo', () => {
  /** Comparisons with the log-probs of the policy itself as the reference's. */
  async function comparisons({ trainer }: TinyRun, ranks: readonly number[] = [1, 2]) {
    const source = tokenSource(4);
    const drawn = Array.from({ length: 5 }, () => ({
      prompt: source.sequence().promptTokens,
      completions: [source.sequence().tokens, source.sequence().tokens],
    }));
    return Promise.all(
      drawn.map(async ({ prompt, completions }, i) => {
        const sequences = completions.map((tokens) => ({ promptTokens: prompt, tokens }));
        const reference = await logprobsOf(trainer, sequences);
        return { item: comparisonItem(`tiny/0/${i}`, prompt, completions, { ranks, reference }), reference };
      }),
    );
  }
  const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
  const sum = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0);

  it('begins with a loss of log 2 when the policy is the reference', async () => {
    const run = await begin(runOf('dpo'), pool);
    const pairs = await comparisons(run);
    const metrics = await run.update(pairs.map(({ item }) => item));
    expect(metrics.loss).toBeCloseTo(Math.LN2, 5);
    for (const name of ['rewards/chosen', 'rewards/rejected', 'rewards/margins'])
      expect(metrics[name]).toBeCloseTo(0, 5);
    expect(metrics['logps/chosen']).toBeCloseTo(mean(pairs.map(({ reference }) => sum(reference[0]!))), 3);
    expect(metrics['logps/rejected']).toBeCloseTo(mean(pairs.map(({ reference }) => sum(reference[1]!))), 3);
    await run.trainer.close();
  });

  it('takes chosen and rejected, and their log-probs, from the ranks', async () => {
    const run = await begin(runOf('dpo'), pool);
    const [given, turned] = [await comparisons(run, [1, 2]), await comparisons(run, [2, 1])].map((pairs) =>
      pairs.map(({ item }) => item),
    );
    const [a, b] = [await run.evaluate(given!), await run.evaluate(turned!)];
    expect(b['eval/loss']).toBeCloseTo(Math.LN2, 5);
    expect(b['eval/logps/chosen']).toBeCloseTo(a['eval/logps/rejected']!, 4);
    expect(b['eval/logps/rejected']).toBeCloseTo(a['eval/logps/chosen']!, 4);
    await run.trainer.close();
  });
});

describe('a reward model', () => {
  it('with a margin asks for more than the order', async () => {
    const loss = async (margin: number) => {
      const run = await begin(runOf('reward'), pool);
      const metrics = await run.evaluate([comparisonItem('tiny/0/0', [0], [[1, 2], [3]], { margin })]);
      await run.trainer.close();
      return metrics;
    };
    const [without, asked] = [await loss(0), await loss(2)];
    const margin = without['eval/margin']!;
    expect(without['eval/loss']).toBeCloseTo(Math.log1p(Math.exp(-margin)), 5);
    expect(asked['eval/loss']).toBeCloseTo(Math.log1p(Math.exp(2 - margin)), 5);
  });

  it('reports the range of its scores, filler aside', async () => {
    const items = itemsFor('reward', 3);
    const ranges: number[][] = [];
    for (const microBatchSize of [3, 8]) {
      const run = await begin(runOf('reward', { microBatchSize }), pool);
      const metrics = await run.evaluate(items);
      ranges.push(['eval/min_reward', 'eval/mean_reward', 'eval/max_reward'].map((name) => metrics[name]!));
      await run.trainer.close();
    }
    const [plain, filled] = ranges as [number[], number[]];
    const [low, middle, high] = plain as [number, number, number];
    expect(low).toBeLessThan(middle);
    expect(middle).toBeLessThan(high);
    filled.forEach((value, i) => {
      expect(value).toBeCloseTo(plain[i]!, 5);
    });
  });
});
