import { createGenerator, keyFor } from '@rlhf-streams/model';
import type { Item } from '@rlhf-streams/runs';
import { type Engine, onnxEngine, onnxPool } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  begin,
  bitsOf,
  comparisonItem,
  episodeItem,
  language,
  logprobsOf,
  runOf,
  type TinyRun,
  tokenSource,
} from '../tiny.test.support.js';

let pool: Engine;
beforeAll(() => {
  pool = onnxPool({ workers: 2 });
});
afterAll(() => pool.close());

const TEMPERATURE = 0.7;
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;

const configOf = (onlineDpo: object = {}, change: object = {}) =>
  runOf('onlineDpo', {
    samplesPerPrompt: 3,
    sampling: { temperature: TEMPERATURE },
    onlineDpo: { beta: 0.2, ...onlineDpo },
    ...change,
  });

interface Sample {
  readonly score: number;
  readonly finishReason?: 'stop' | 'length';
}

/** Samples of prompts with the log-probs of the policy itself, each with a reference of its own. */
async function sampled({ trainer }: TinyRun, byPrompt: readonly (readonly Sample[])[]): Promise<Item[]> {
  const source = tokenSource(5);
  const items: Item[] = [];
  for (const [prompt, samples] of byPrompt.entries()) {
    const { promptTokens } = source.sequence();
    const sequences = samples.map(() => ({ promptTokens, tokens: source.sequence().tokens }));
    const logprobs = await logprobsOf(trainer, sequences, TEMPERATURE);
    samples.forEach((said, i) => {
      const reference = logprobs[i]!.map((lp) => Math.min(0, lp + 0.4 * (source.float() - 0.5)));
      items.push(
        episodeItem(`tiny/0/${prompt}/${i}`, sequences[i]!, { ...said, logprobs: logprobs[i]!, reference }),
      );
    });
  }
  return items;
}

const scored = (...scores: number[]): Sample[] => scores.map((score) => ({ score }));

async function stepOf(config: ReturnType<typeof configOf>, byPrompt: readonly (readonly Sample[])[]) {
  const run = await begin(config, pool);
  const items = await sampled(run, byPrompt);
  const metrics = await run.update(items);
  const { results, comparisons } = run;
  const end = { metrics, results, comparisons, items, bits: await bitsOf(run) };
  await run.trainer.close();
  return end;
}

describe('a step', () => {
  it('is one of DPO on the comparisons that it publishes, to the bit', async () => {
    const byPrompt = [scored(1, 3, 2), scored(0.5, -1, 0.5)];
    const { bits, metrics, comparisons, items } = await stepOf(
      configOf({}, { sampling: { temperature: 1 } }),
      byPrompt,
    );
    expect(comparisons!.map(({ ranks }) => ranks)).toEqual([
      [3, 1, 2],
      [1, 3, 1],
    ]);
    const dpo = await begin(runOf('dpo', { dpo: { beta: 0.2 } }), pool);
    const asDpo = await dpo.update(
      comparisons!.map(({ comparison, promptTokens, completions, ranks }) =>
        comparisonItem(
          comparison,
          promptTokens,
          completions.map(({ tokens }) => tokens),
          {
            ranks,
            reference: items
              .filter(({ rollout }) => rollout!.prompt === comparison)
              .map(({ reference }) => reference!.logprobs[0]!),
          },
        ),
      ),
    );
    expect(await bitsOf(dpo)).toEqual(bits);
    for (const [name, value] of Object.entries(asDpo)) expect([name, metrics[name]]).toEqual([name, value]);
    await dpo.trainer.close();
  });

  it('says of each rollout its score, KL, rank and implicit reward', async () => {
    const { results, metrics, items } = await stepOf(configOf(), [scored(1, 3), scored(0, 0), scored(7)]);
    expect(results!.map(({ item }) => item)).toEqual(items.map(({ id }) => id));
    expect(results!.map(({ score, rank }) => [score, rank])).toEqual([
      [1, 2],
      [3, 1],
      [0, 1],
      [0, 1],
      [7, Number.NaN],
    ]);
    const implicit = results!.map(({ implicit_reward }) => implicit_reward as number);
    expect(implicit.map(Number.isNaN)).toEqual([false, false, true, true, true]);
    const kl = results!.map(({ kl }) => sum(kl as number[]));
    for (const i of [0, 1]) expect(implicit[i]).toBeCloseTo(0.2 * kl[i]!, 4);
    expect(metrics['rewards/margins']).toBeCloseTo(implicit[1]! - implicit[0]!, 5);
    expect(metrics['objective/kl']).toBeCloseTo(mean(kl), 8);
    expect(metrics['objective/scores']).toBeCloseTo(mean([1, 3, 0, 0, 7]), 10);
    expect(metrics['objective/scores_margin']).toBeCloseTo(1, 10);
    expect(metrics).toMatchObject({ pairs: 1, episode: 5 });
  });

  it('of groups that tie, or of lone samples, learns nothing and goes on', async () => {
    const run = await begin(configOf(), pool);
    const before = await bitsOf(run);
    const metrics = await run.update(await sampled(run, [scored(2, 2, 2), scored(1)]));
    expect(metrics).toMatchObject({ pairs: 0, episode: 4 });
    expect(metrics).not.toHaveProperty('loss');
    expect(run.comparisons!.map(({ ranks }) => ranks)).toEqual([[1, 1, 1]]);
    expect(await bitsOf(run)).toEqual(before);
    await expect(run.update([])).rejects.toMatchObject({ code: 'TRAINING_EMPTY_STEP' });
    await run.trainer.close();
  });

  it('takes a penalty from the score of a response that is cut', async () => {
    const byPrompt = [[{ score: 2, finishReason: 'length' as const }, { score: 1.5 }]];
    const { comparisons, metrics } = await stepOf(configOf({ missingEosPenalty: 1 }), byPrompt);
    expect(comparisons![0]).toMatchObject({ ranks: [2, 1], completions: [{ score: 1 }, { score: 1.5 }] });
    expect(metrics['objective/scores']).toBeCloseTo(1.25, 10);
  });

  it.each(['best_rest', 'best_worst'] as const)('compares %s where asked to', async (pairs) => {
    const { metrics } = await stepOf(configOf({ pairs }), [scored(1, 3, 2)]);
    expect(metrics.pairs).toBe(pairs === 'best_rest' ? 2 : 1);
  });

  it.each(['ipo', 'hinge', 'sigmoid_norm', 'simpo'])('learns by the loss %s', async (lossType) => {
    const { metrics } = await stepOf(configOf({ lossType }), [scored(1, 3, 2)]);
    expect(metrics.loss).toBeGreaterThan(0);
    expect(metrics.grad_norm).toBeGreaterThan(0);
  });
});

describe('labels that are sampled', () => {
  const many = Array.from({ length: 40 }, () => scored(0.8, 0));
  const ranksBy = async (seed: number) => {
    const { comparisons } = await stepOf(configOf({ labels: 'sampled' }, { seed }), many);
    expect(new Set(comparisons!.map(({ labeler }) => labeler))).toEqual(new Set(['drawn by test']));
    return comparisons!.map(({ ranks }) => ranks.join());
  };

  it('are functions of the seed and of ids, and follow the scores as often as Bradley and Terry say', async () => {
    const ranks = await ranksBy(1);
    expect(await ranksBy(1)).toEqual(ranks);
    const others = await ranksBy(2);
    expect(others).not.toEqual(ranks);
    const agreed = [...ranks, ...others].filter((ranks) => ranks === '1,2').length / 80;
    // sigma(0.8) is 0.69, with a standard error of 0.05 over these 80.
    expect(agreed).toBeGreaterThan(0.54);
    expect(agreed).toBeLessThan(0.84);
  });

  it('of equal scores are drawn like others', async () => {
    const { metrics } = await stepOf(configOf({ labels: 'sampled' }), [scored(1, 1)]);
    expect(metrics.pairs).toBe(1);
  });
});

it('makes a rewarded token likelier', async () => {
  const REWARDED = 7;
  const prompts = [
    [0, 5],
    [0, 9],
  ];
  const config = runOf('onlineDpo', {
    optimizer: { learningRate: 1e-2, schedule: 'constant' },
    sampling: { temperature: 1, maxNewTokens: 4 },
    samplesPerPrompt: 8,
    onlineDpo: { beta: 0.05 },
    microBatchSize: 16,
  });
  const run = await begin(config, pool);
  const reference = await begin(config, pool);
  const generator = createGenerator(onnxEngine(), language);
  const scores = [];
  for (let step = 0; step < 20; step++) {
    const weights = { version: `${step}`, parameters: await run.trainer.parameters('policy') };
    const items = await Promise.all(
      prompts.flatMap((promptTokens, index) =>
        Array.from({ length: 8 }, async (_, sample) => {
          const id = `tiny/${step}/${index}/${sample}`;
          const { tokens, logprobs } = await generator.generate({
            weights,
            promptTokens,
            sampling: { temperature: 1, topK: 0, topP: 1 },
            maxNewTokens: 4,
            stopTokens: [],
            key: keyFor(0, id),
          });
          const score = tokens.filter((token) => token === REWARDED).length;
          return { id, promptTokens, tokens, logprobs, score };
        }),
      ),
    );
    const under = await logprobsOf(reference.trainer, items);
    const metrics = await run.update(
      items.map(({ id, logprobs, score, ...sequence }, i) =>
        episodeItem(id, sequence, { logprobs, reference: under[i]!, score }),
      ),
    );
    scores.push(metrics['objective/scores']!);
  }
  expect(mean(scores.slice(0, 3))).toBeLessThan(0.5);
  expect(mean(scores.slice(-3))).toBeGreaterThan(2);
  generator.close();
  await reference.trainer.close();
  await run.trainer.close();
});
