import type { Item } from '@rlhf-streams/runs';
import { type Engine, onnxPool } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  begin,
  comparisonItem,
  initialParameters,
  layoutFor,
  logprobsOf,
  numbersOf,
  runOf,
  type TinyRun,
  tokenSource,
} from '../tiny.test.support.js';

let pool: Engine;
beforeAll(() => {
  pool = onnxPool({ workers: 2 });
});
afterAll(() => pool.close());

/** Rankings of 2, 3, 4, ... completions, with ties and, where asked for, scores. */
function rankings(count: number, scored = false): Item[] {
  const source = tokenSource(3);
  return Array.from({ length: count }, (_, i) => {
    const completions = Array.from({ length: 2 + i }, () => source.sequence().tokens);
    const ranks = completions.map((_, k) => 1 + Math.floor(((k + i) % completions.length) / (i < 2 ? 1 : 2)));
    const item = comparisonItem(`tiny/0/${i}`, source.sequence().promptTokens, completions, { ranks });
    if (!scored) return item;
    const comparison = {
      ...item.comparison!,
      completions: item.comparison!.completions.map((each, k) => ({ ...each, score: -1.5 * ranks[k]! ** 2 })),
    };
    return { ...item, comparison };
  });
}

const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

/** The paper's loss, in the order of its formulae, of the policy as it is. */
async function lossOf(
  { trainer }: TinyRun,
  items: readonly Item[],
  {
    gap,
    sftCoef,
    first = false,
  }: { gap?: (item: Item, k: number, i: number) => number; sftCoef: (K: number) => number; first?: boolean },
): Promise<number> {
  const losses: number[] = [];
  for (const item of items) {
    const { promptTokens, completions, ranks } = item.comparison!;
    const logprobs = await logprobsOf(
      trainer,
      completions.map(({ tokens }) => ({ promptTokens, tokens })),
    );
    const z = logprobs.map(mean);
    const stage = (k: number) => {
      const below = [...z.keys()].filter((i) => ranks[i]! > ranks[k]!);
      if (below.length === 0) return 0;
      const perT = below.map((i) => gap?.(item, k, i) ?? 1);
      const own = Math.max(...perT) * z[k]!;
      return Math.log(1 + below.reduce((sum, i, n) => sum + Math.exp(perT[n]! * z[i]! - own), 0));
    };
    const best = [...z.keys()].filter((k) => ranks[k] === Math.min(...ranks));
    const stages = first ? mean(best.map(stage)) : z.reduce((sum, _, k) => sum + stage(k), 0);
    losses.push(stages - sftCoef(z.length) * mean(best.map((k) => z[k]!)));
  }
  return mean(losses);
}

const paper = (K: number) => 0.05 * (K - 1) ** 2;
const byRank = (item: Item, k: number, i: number) => item.comparison!.ranks[i]! - item.comparison!.ranks[k]!;
const byScore = (item: Item, k: number, i: number) =>
  item.comparison!.completions[k]!.score! - item.comparison!.completions[i]!.score!;

it.each([
  ['the whole list, with the weight of the SFT term of the paper', {}, false, { sftCoef: paper }],
  ['the best against the rest', { pairs: 'best_rest', sftCoef: 0 }, false, { sftCoef: () => 0, first: true }],
  [
    'gaps of scores',
    { temperatures: 'reward_gaps', sftCoef: 0.7 },
    true,
    { sftCoef: () => 0.7, gap: byScore },
  ],
  [
    'gaps of ranks, where there are no scores',
    { temperatures: 'reward_gaps' },
    false,
    { sftCoef: paper, gap: byRank },
  ],
] as const)('a step learns from %s', async (_, settings, scored, expected) => {
  const run = await begin(runOf('pro', { pro: settings, microBatchSize: 4 }), pool);
  const items = rankings(4, scored);
  const loss = await lossOf(run, items, expected);
  expect((await run.evaluate(items))['eval/loss']).toBeCloseTo(loss, 4);
  expect((await run.update(items)).loss).toBeCloseTo(loss, 4);
  await run.trainer.close();
});

it('scores that do not have the order of the ranks make no gaps', async () => {
  const run = await begin(runOf('pro', { pro: { temperatures: 'reward_gaps' } }), pool);
  const turned = rankings(3, true).map((item) => ({
    ...item,
    comparison: {
      ...item.comparison!,
      completions: item.comparison!.completions.map((each) => ({ ...each, score: -each.score! })),
    },
  }));
  const { 'eval/loss': loss } = await run.evaluate(turned);
  expect(loss).toBe((await run.evaluate(rankings(3)))['eval/loss']);
  await run.trainer.close();
});

it('the gradient is that of the loss, by finite differences of two weights', async () => {
  const items = rankings(3);
  const weights = initialParameters(layoutFor('pro'));
  const run = await begin(runOf('pro'), pool, { from: weights });
  await run.update(items);
  const { m } = await run.trainer.state();
  await run.trainer.close();

  const name = Object.keys(weights).find((each) => each.endsWith('wte.weight'))!;
  const own = m[name]! as Float32Array;
  const steepest = [...own.keys()].sort((a, b) => Math.abs(own[b]!) - Math.abs(own[a]!)).slice(0, 2);
  const [h, slopes] = [1e-2, [] as number[]];
  for (const index of steepest) {
    const losses = [];
    for (const sign of [1, -1]) {
      const moved = Float32Array.from(weights[name]!);
      moved[index]! += sign * h;
      const other = await begin(runOf('pro'), pool, { from: { ...weights, [name]: moved } });
      losses.push((await other.evaluate(items))['eval/loss']!);
      await other.trainer.close();
    }
    slopes.push((losses[0]! - losses[1]!) / (2 * h));
  }
  // Adam's first moments are the clipped gradient, but for a factor.
  const norm = Math.hypot(...numbersOf(m));
  const [first, second] = steepest.map((index) => own[index]! / norm);
  expect(slopes[0]! / slopes[1]!).toBeCloseTo(first! / second!, 1);
  expect(Math.sign(slopes[0]!)).toBe(Math.sign(first!));
});

it('makes completions likelier in the order of their ranks, for rankings it has not seen', async () => {
  const order = [7, 11, 13];
  const ranked = (count: number, seed: number) => {
    const source = tokenSource(seed);
    return Array.from({ length: count }, (_, i) => {
      const others = source.tokens(2).map((token) => (order.includes(token) ? 1 : token));
      const completions = order.map((token) => others.toSpliced(source.below(3), 0, token));
      const ranks = i % 2 === 0 ? [1, 2, 3] : [1, 2, 2];
      return comparisonItem(`tiny/0/${i}`, [0, ...source.tokens(2)], completions, { ranks });
    });
  };
  const config = runOf('pro', {
    optimizer: { learningRate: 5e-3, schedule: 'constant' },
    microBatchSize: 16,
  });
  const run = await begin(config, pool);
  const [train, test] = [ranked(16, 1), ranked(16, 2)];
  const before = await run.evaluate(test);
  for (let step = 0; step < 30; step++) await run.update(train);
  const after = await run.evaluate(test);
  expect(after['eval/rewards/accuracies']).toBeGreaterThan(0.9);
  expect(after['eval/loss/pro']).toBeLessThan(0.7 * before['eval/loss/pro']!);
  expect(after['eval/rewards/chosen']).toBeGreaterThan(before['eval/rewards/chosen']!);
  await run.trainer.close();
});
