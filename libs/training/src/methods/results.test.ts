/** What a step finds out about each item, against what its loss is made of. */
import { gae, rlhfReward, whiten } from '@rlhf-streams/alignment';
import type { Item } from '@rlhf-streams/runs';
import { cpuEngine, type Engine } from '@rlhf-streams/tensor';
import { beforeAll, expect, it } from 'vitest';
import {
  begin,
  comparisonItem,
  demonstrationItem,
  itemsFor,
  logprobsOf,
  runOf,
  type TinyRun,
  trainingMethods,
} from '../tiny.test.support.js';
import type { ItemResult } from './method.js';

let engine: Engine;
beforeAll(() => {
  engine = cpuEngine();
});

const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
const numbers = (results: readonly ItemResult[], key: string) =>
  results.map((result) => result[key] as number);
const rows = (results: readonly ItemResult[], key: string) =>
  results.map((result) => result[key] as readonly number[]);

async function stepOf(run: TinyRun, items: readonly Item[]) {
  const metrics = await run.update(items);
  return { metrics, results: run.results! };
}

it.each(trainingMethods)('%s: results are in the order of the items, with the same keys', async (method) => {
  // Micro-batches sort by length, and are none of the results' business.
  const run = await begin(runOf(method, { microBatchSize: 2 }), engine);
  const items = itemsFor(method, 5);
  const { results } = await stepOf(run, items);
  expect(results.map(({ item }) => item)).toEqual(items.map(({ id }) => id));
  for (const result of results) expect(Object.keys(result)).toEqual(Object.keys(results[0]!));
  await run.trainer.close();
});

it('sft: the losses of predicted tokens are minus their log-probs before the update, and their mean is the loss', async () => {
  const run = await begin(runOf('sft'), engine);
  const items = [
    ...itemsFor('sft', 4),
    demonstrationItem('tiny/0/9', { promptTokens: [], tokens: [4, 2, 7] }),
  ];
  const expected = await logprobsOf(
    run.trainer,
    items.map(({ demonstration }) => demonstration!),
  );
  const { metrics, results } = await stepOf(run, items);
  const losses = rows(results, 'losses');
  losses.forEach((row, i) => {
    expect(row).toHaveLength(expected[i]!.length);
    row.forEach((loss, t) => {
      expect(loss).toBeCloseTo(-expected[i]![t]!, 5);
    });
  });
  expect(losses.at(-1)).toHaveLength(2);
  expect(mean(losses.flat())).toBeCloseTo(metrics.loss!, 5);
  await run.trainer.close();
});

/** The items of a method with other ranks, and the numbers of each one's better and worse completion, of two. */
const turned = (items: readonly Item[]): Item[] =>
  items.map((item, i) => ({
    ...item,
    comparison: { ...item.comparison!, ranks: i % 2 === 0 ? [1, 2] : [2, 1] },
  }));
const sides = (results: readonly ItemResult[], key: string) => [
  rows(results, key).map((row, i) => row[i % 2]!),
  rows(results, key).map((row, i) => row[1 - (i % 2)]!),
];

it('dpo: the rewards by completion and their margin add up to the metrics', async () => {
  const run = await begin(runOf('dpo', { microBatchSize: 4 }), engine);
  const { metrics, results } = await stepOf(run, turned(itemsFor('dpo', 5)));
  const [chosen, rejected] = sides(results, 'rewards');
  expect(mean(chosen!)).toBeCloseTo(metrics['rewards/chosen']!, 5);
  expect(mean(rejected!)).toBeCloseTo(metrics['rewards/rejected']!, 5);
  expect(mean(numbers(results, 'margin'))).toBeCloseTo(metrics['rewards/margins']!, 5);
  expect(new Set(numbers(results, 'margin')).size).toBe(5);
  await run.trainer.close();
});

it('reward: the scores by completion add up to the metrics', async () => {
  const run = await begin(runOf('reward', { microBatchSize: 4 }), engine);
  const { metrics, results } = await stepOf(run, turned(itemsFor('reward', 5)));
  const [chosen, rejected] = sides(results, 'scores') as [number[], number[]];
  expect(mean([...chosen, ...rejected])).toBeCloseTo(metrics.mean_reward!, 5);
  expect(mean(chosen) - mean(rejected)).toBeCloseTo(metrics.margin!, 5);
  expect(mean(numbers(results, 'margin'))).toBeCloseTo(metrics.margin!, 5);
  expect(mean(chosen.map((score, i) => Number(score > rejected[i]!)))).toBeCloseTo(metrics.accuracy!, 5);
  await run.trainer.close();
});

it('numbers by completion stand where the comparison has it, whatever its rank, and are none where it is in no pair', async () => {
  const items = [comparisonItem('tiny/0/0', [0], [[1, 2], [3], [4, 5], [6]], { ranks: [3, 1, 1, 4] })];
  const scored = async (objective: string) => {
    const run = await begin(runOf('reward', { reward: { objective } }), engine);
    const { results } = await stepOf(run, items);
    await run.trainer.close();
    return results[0]!;
  };
  const [all, two] = [await scored('pairs'), await scored('best_worst')];
  const [a, b, c, d] = all.scores as [number, number, number, number];
  expect(new Set([a, b, c, d]).size).toBe(4);
  expect(all.margin).toBeCloseTo((b - a + c - a + a - d + b - d + c - d) / 5, 5);
  const expected = [Number.NaN, b, Number.NaN, d].map((score) => expect.closeTo(score, 5));
  expect(two.scores).toEqual([Number.NaN, expected[1], Number.NaN, expected[3]]);
  expect(two.margin).toBeCloseTo(b - d, 5);
});

it('ppo: rewards, values and advantages by token are those that the update took; the entropy is of the first epoch', async () => {
  const ppo = { klCoef: 0.3, numPpoEpochs: 3, numMiniBatches: 2 };
  const run = await begin(runOf('ppo', { ppo }), engine);
  const once = await begin(runOf('ppo', { ppo: { ...ppo, numPpoEpochs: 1, numMiniBatches: 1 } }), engine);
  const items = itemsFor('ppo', 6);
  const { metrics, results } = await stepOf(run, items);

  const rewards = items.map(({ rollout, reward, reference }) =>
    rlhfReward(
      {
        logprobs: rollout!.logprobs,
        refLogprobs: reference!.logprobs[0]!,
        score: reward!.score,
        endedWithEos: true,
      },
      { klCoef: 0.3 },
    ),
  );
  const values = rows(results, 'values');
  const estimates = rewards.map(({ rewards }, i) =>
    gae({ rewards, values: values[i]! }, { gamma: 1, lam: 0.95 }),
  );
  expect(rows(results, 'returns')).toEqual(estimates.map(({ returns }) => [...returns]));
  expect(rows(results, 'advantages')).toEqual(
    whiten(estimates.map(({ advantages }) => advantages)).map((row) => [...row]),
  );
  expect(numbers(results, 'score')).toEqual(items.map(({ reward }) => reward!.score));
  expect(mean(numbers(results, 'reward'))).toBeCloseTo(metrics['objective/rlhf_reward']!, 10);
  const kl = rows(results, 'kl').map((row) => row.reduce((sum, x) => sum + x, 0));
  expect(mean(kl)).toBeCloseTo(metrics['objective/kl']!, 10);

  // With one update the mean entropy over tokens is that of the policy which sampled.
  const first = await stepOf(once, items);
  expect(mean(rows(first.results, 'entropy').flat())).toBeCloseTo(first.metrics['policy/entropy_avg']!, 5);
  expect(rows(results, 'entropy').map((row) => row.length)).toEqual(
    items.map(({ rollout }) => rollout!.tokens.length),
  );
  const spread = rows(results, 'entropy').flatMap((row, i) =>
    row.map((x, t) => Math.abs(x - rows(first.results, 'entropy')[i]![t]!)),
  );
  // Half of the tokens are of the second mini-batch, one small update later.
  expect(spread.filter((x) => x < 1e-6).length).toBeGreaterThan(0);
  expect(Math.max(...spread)).toBeLessThan(0.5);
  await run.trainer.close();
  await once.trainer.close();
});
