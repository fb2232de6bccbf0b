import { pairwiseRewardLoss } from '@rlhf-streams/alignment';
import type { Item } from '@rlhf-streams/runs';
import { type Engine, onnxPool } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
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
import type { BatchShape } from '../trainer/program.js';
import {
  eachAgainstEach,
  type Pairing,
  preferences,
  rankingBatches,
  rankingsOf,
  sequencesOf,
} from './rankings.js';
import { allShapes } from './rows.js';

let pool: Engine;
beforeAll(() => {
  pool = onnxPool({ workers: 1 });
});
afterAll(() => pool.close());

const K = [[1], [2], [3], [4]];
const itemOf = (ranks: readonly number[], completions = K.slice(0, ranks.length)) =>
  comparisonItem('tiny/0/0', [0], completions, { ranks });

/** Pairs of a comparison, by the places of its completions. */
const pairsOf = (item: Item, pairing: Pairing = 'all') =>
  rankingsOf([item], pairing).flatMap(({ pairs, places }) => pairs.map(([a, b]) => [places[a]!, places[b]!]));

describe('the pairs of a comparison', () => {
  it('are all that are ranked apart', () => {
    expect(pairsOf(itemOf([1, 2]))).toEqual([[0, 1]]);
    expect(pairsOf(itemOf([2, 1]))).toEqual([[1, 0]]);
    expect(pairsOf(itemOf([3, 1, 4, 2]))).toEqual([
      [0, 2],
      [1, 0],
      [1, 2],
      [1, 3],
      [3, 0],
      [3, 2],
    ]);
  });

  it('are those of the best, or the best and the worst, where that is asked for', () => {
    expect(pairsOf(itemOf([3, 1, 4, 2]), 'best_rest')).toEqual([
      [1, 0],
      [1, 2],
      [1, 3],
    ]);
    expect(pairsOf(itemOf([1, 1, 2, 3]), 'best_rest')).toEqual([
      [0, 2],
      [0, 3],
      [1, 2],
      [1, 3],
    ]);
    expect(pairsOf(itemOf([3, 1, 4, 2]), 'best_worst')).toEqual([[1, 2]]);
    expect(pairsOf(itemOf([1, 1, 2, 2]), 'best_worst')).toEqual([[0, 3]]);
  });

  it.each(['all', 'best_rest', 'best_worst'] as const)('are none of ties: %s', (pairing) => {
    expect(pairsOf(itemOf([1, 1]), pairing)).toEqual([]);
    expect(pairsOf(itemOf([2, 2, 2]), pairing)).toEqual([]);
  });

  it('are none of a completion against itself, by its tokens', () => {
    const [ab, ba] = [
      [1, 2],
      [2, 1],
    ];
    expect(pairsOf(itemOf([1, 2], [ab, ab]))).toEqual([]);
    expect(pairsOf(itemOf([1, 2], [[], []]))).toEqual([]);
    expect(pairsOf(itemOf([1, 2, 3], [ab, [3], ab]))).toEqual([
      [0, 1],
      [1, 2],
    ]);
    expect(pairsOf(itemOf([1, 2, 3], [ab, [3], ab]), 'best_worst')).toEqual([]);
    for (const apart of [
      [ab, [1]],
      [[1], ab],
      [ab, ba],
    ])
      expect(pairsOf(itemOf([1, 2], apart))).toEqual([[0, 1]]);
  });
});

describe('the rows of rankings', () => {
  const rankings = rankingsOf([itemOf([3, 1, 2]), itemOf([1, 1]), itemOf([2, 1, 1, 2])], 'all');

  it('are the completions that are in a pair, the best first', () => {
    expect(rankings.map(({ places }) => places)).toEqual([
      [1, 2, 0],
      [1, 2, 0, 3],
    ]);
    expect(sequencesOf(rankings).map(({ tokens }) => tokens)).toEqual([[2], [3], [1], [2], [3], [1], [4]]);
    expect(rankingsOf([itemOf([3, 1, 4, 2])], 'best_worst')[0]!.places).toEqual([1, 2]);
  });

  it('prefer one another by weights that add up to 1 for each comparison, and nothing across', () => {
    const rows = 8;
    const { prefers } = preferences(rankings, { rows, length: 8, tokens: 8 });
    const nonzero = [...prefers.entries()].flatMap(([i, weight]) =>
      weight === 0 ? [] : [[Math.floor(i / rows), i % rows, weight]],
    );
    const third = Math.fround(1 / 3);
    expect(nonzero).toEqual([
      [0, 1, third],
      [0, 2, third],
      [1, 2, third],
      ...[3, 4].flatMap((i) => [5, 6].map((j) => [i, j, 1 / 4])),
    ]);
  });

  it('are never split by micro-batches, whatever the number of completions, and have a shape that is listed', () => {
    const completions = fc.integer({ min: 2, max: 9 });
    const limits = fc.record({
      microBatchSize: fc.integer({ min: 1, max: 12 }),
      contextLength: fc.constant(24),
    });
    fc.assert(
      fc.property(fc.array(completions, { minLength: 1, maxLength: 8 }), limits, (counts, limits) => {
        const items = counts.map((count) =>
          comparisonItem(
            'tiny/0/0',
            [0],
            Array.from({ length: count }, (_, i) => [1 + i]),
          ),
        );
        const shapes: BatchShape[] = [];
        const { groups } = rankingBatches(rankingsOf(items, 'all'), limits, (_, shape) => {
          shapes.push(shape);
          return { specs: {}, buffers: {} };
        });
        expect(groups.flat().map(({ item }) => item)).toEqual(expect.arrayContaining(items));
        expect(groups.flat()).toHaveLength(items.length);
        const listed = allShapes({ ...limits, groupSize: 9 });
        groups.forEach((group, i) => {
          const { rows } = shapes[i]!;
          expect(sequencesOf(group).length <= limits.microBatchSize || group.length === 1).toBe(true);
          expect(rows).toBeGreaterThanOrEqual(sequencesOf(group).length);
          expect(listed).toContainEqual(shapes[i]);
        });
      }),
    );
  });
});

it('all pairs of one prompt, scored 2, 1, 0, -1 in their order, have the loss of Ouyang et al. 2022', () => {
  const rankings = rankingsOf([itemOf([1, 2, 3, 4])], 'all');
  const [chosen, rejected] = eachAgainstEach(tf.tensor1d([2, 1, 0, -1]));
  const { prefers } = preferences(rankings, { rows: 4, length: 8, tokens: 4 });
  const mask = tf.tensor2d(prefers, [4, 4]);
  const { loss } = pairwiseRewardLoss({ chosen, rejected, mask, normaliser: 1 });
  expect(loss.arraySync()).toBeCloseTo(0.207038, 6);
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
  it('learns from all pairs of a comparison, which count as one', async () => {
    const run = await begin(runOf('reward', { microBatchSize: 3 }), pool);
    const ranked = comparisonItem('tiny/0/0', [0], [[1, 2], [3], [4, 5], [6]], { ranks: [2, 1, 2, 4] });
    const pair = comparisonItem('tiny/0/1', [0, 7], [[8], [9, 1]]);
    const loss = async (items: readonly Item[]) => (await run.evaluate(items))['eval/loss']!;
    const alone = [await loss([ranked]), await loss([pair])] as const;
    expect(await loss([ranked, pair])).toBeCloseTo((alone[0] + alone[1]) / 2, 5);

    const metrics = await run.update([ranked, pair]);
    expect(metrics).toMatchObject({ pairs: 6 });
    const [a, b, c, d] = run.results![0]!.scores as [number, number, number, number];
    const lost = [b - a, b - c, b - d, a - d, c - d].map((margin) => Math.log1p(Math.exp(-margin)));
    expect(alone[0]).toBeCloseTo(lost.reduce((sum, x) => sum + x, 0) / 5, 5);
    await run.trainer.close();
  });

  it('learns which completion is the best of all, where that is asked for', async () => {
    const reward = { objective: 'best_of_n', centerRewardsCoefficient: 0.01 };
    const run = await begin(runOf('reward', { microBatchSize: 3, reward }), pool);
    const items = [
      comparisonItem('tiny/0/0', [0], [[1, 2], [3], [4, 5], [6]], { ranks: [2, 1, 1, 4] }),
      comparisonItem('tiny/0/1', [0, 7], [[8], [9, 1]], { ranks: [2, 1] }),
    ];
    const metrics = await run.update(items);
    expect(metrics).toMatchObject({ pairs: 5 });
    const [[a, b, c, d], [e, f]] = run.results!.map(({ scores }) => scores) as [number[], number[]];
    const logSumExp = (...x: number[]) => Math.log(x.reduce((sum, score) => sum + Math.exp(score), 0));
    const centering = (...pairs: number[]) =>
      (0.01 * pairs.reduce((sum, x) => sum + x ** 2, 0)) / pairs.length;
    const first = logSumExp(a!, b!, c!, d!) - (b! + c!) / 2 + centering(b! + a!, b! + d!, c! + a!, c! + d!);
    const second = logSumExp(e!, f!) - f! + centering(e! + f!);
    expect(metrics.loss).toBeCloseTo((first + second) / 2, 5);
    await run.trainer.close();
  });

  it('is asked for no order between completions of the same tokens', async () => {
    const run = await begin(runOf('reward', { reward: { objective: 'best_of_n' } }), pool);
    const [once, twice] = [
      [[1, 2], [3]],
      [[1, 2], [1, 2], [3]],
    ].map((completions) =>
      comparisonItem('tiny/0/0', [0], completions, {
        ranks: completions.map((_, i) => (i < completions.length - 1 ? 1 : 2)),
      }),
    );
    const loss = async (item: Item) => (await run.evaluate([item]))['eval/loss'];
    expect(await loss(twice!)).toBeCloseTo((await loss(once!))!, 6);
    await run.trainer.close();
  });

  it.each([
    ['reward', { reward: { objective: 'best_worst' } }],
    ['dpo', { dpo: { pairs: 'best_worst' } }],
  ] as const)(
    'and %s of the best and the worst alone is what it was for that pair, to the bit',
    async (method, change) => {
      const completions = [[1, 2], [3], [4, 5], [6]];
      const reference = completions.map((tokens) => tokens.map(() => -3));
      const ranked = comparisonItem('tiny/0/0', [0], completions, { ranks: [2, 1, 4, 3], reference });
      const pair = comparisonItem('tiny/0/0', [0], [[3], [4, 5]], { reference: [[-3], [-3, -3]] });
      const ends = [];
      for (const item of [ranked, pair]) {
        const run = await begin(runOf(method, change), pool);
        await run.update([item]);
        ends.push(await bitsOf(run));
        await run.trainer.close();
      }
      expect(ends[0]).toEqual(ends[1]);
    },
  );

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
