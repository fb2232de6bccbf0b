/** Every method learns what it is for: tests over any engine. */
import { createGenerator, keyFor } from '@rlhf-streams/model';
import type { Engine } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  begin,
  comparisonItem,
  episodeItem,
  itemsFor,
  language,
  logprobsOf,
  runOf,
  tokenSource,
} from '../tiny.test.support.js';

const GOOD = 7;
const BAD = 11;

/** Completions that differ in one token, which tells the better one. */
function separable(count: number, seed: number) {
  const source = tokenSource(seed);
  return Array.from({ length: count }, (_, index) => {
    const neutral = source.tokens(3).map((token) => (token === GOOD || token === BAD ? 1 : token));
    const place = source.below(4);
    const completion = (token: number) => neutral.toSpliced(place, 0, token);
    return {
      id: `tiny/0/${index}`,
      prompt: [0, ...source.tokens(2)],
      completions: [completion(GOOD), completion(BAD)],
    };
  });
}

/**
 * @param training the engine that trains
 * @param generating the engine that samples what is trained on
 */
export function learningTests(training: () => Engine, generating: () => Engine): void {
  let engine: Engine;
  beforeAll(() => {
    engine = training();
  });
  afterAll(() => engine.close());

  it('sft learns a batch by heart', async () => {
    const run = await begin(
      runOf('sft', { optimizer: { learningRate: 2e-2, schedule: 'constant' } }),
      engine,
    );
    const items = itemsFor('sft', 6);
    const before = await run.evaluate(items);
    const losses = [];
    for (let step = 0; step < 40; step++) losses.push((await run.update(items)).loss!);
    const after = await run.evaluate(items);
    expect(losses[0]).toBeCloseTo(before['eval/loss']!, 5);
    expect(after['eval/loss']).toBeLessThan(0.1 * before['eval/loss']!);
    expect(after['eval/perplexity']).toBeCloseTo(Math.exp(after['eval/loss']!), 6);
    await run.trainer.close();
  });

  it('a reward model learns what tells completions apart, for pairs it has not seen', async () => {
    const run = await begin(runOf('reward', { optimizer: { learningRate: 1e-2 } }), engine);
    const items = (count: number, seed: number) =>
      separable(count, seed).map(({ id, prompt, completions }) => comparisonItem(id, prompt, completions));
    const [train, test] = [items(32, 1), items(16, 2)];
    for (let step = 0; step < 40; step++) await run.update(train);
    const { accuracy, margin } = await run.update(train);
    expect([accuracy, margin! > 1]).toEqual([1, true]);
    expect(await run.evaluate(test)).toMatchObject({ 'eval/accuracy': 1, 'eval/pairs': 16 });
    await run.trainer.close();
  });

  it('dpo makes the chosen completions likelier than the rejected ones, relative to the reference', async () => {
    const run = await begin(
      runOf('dpo', { optimizer: { learningRate: 5e-3, schedule: 'constant' } }),
      engine,
    );
    const items = await Promise.all(
      separable(8, 1).map(async ({ id, prompt, completions }) => {
        const sequences = completions.map((tokens) => ({ promptTokens: prompt, tokens }));
        return comparisonItem(id, prompt, completions, {
          reference: await logprobsOf(run.trainer, sequences),
        });
      }),
    );
    const metrics = [];
    for (let step = 0; step < 30; step++) metrics.push(await run.update(items));
    expect(metrics[0]!['rewards/margins']).toBeCloseTo(0, 4);
    expect(metrics.at(-1)!['rewards/margins']).toBeGreaterThan(0.5);
    expect(metrics.at(-1)!['rewards/accuracies']).toBe(1);
    expect(metrics.at(-1)!.loss).toBeLessThan(0.8 * metrics[0]!.loss!);
    await run.trainer.close();
  });

  it.each([
    ['ppo', 'ppo', { ppo: { klCoef: 0.01, vfCoef: 0.5 } }, 1e-2],
    [
      'ppo with its value head on the trunk of the policy',
      'ppo',
      { value: 'shared', ppo: { klCoef: 0.01, vfCoef: 0.5 } },
      1e-2,
    ],
    ['reinforce over the batch', 'reinforce', { reinforce: { klCoef: 0.01 } }, 2e-2],
    [
      'reinforce over learned values, by rewards to go',
      'reinforce',
      { reinforce: { baseline: 'value', rewardToGo: true, klCoef: 0.01, vfCoef: 0.5 } },
      2e-2,
    ],
    ['grpo', 'grpo', { grpo: { numIterations: 2 } }, 1e-2],
  ] as const)('%s makes a rewarded token likelier', async (_, method, settings, learningRate) => {
    const SAMPLES = 16;
    const config = runOf(method, {
      optimizer: { learningRate, schedule: 'constant' },
      sampling: { temperature: 1, maxNewTokens: 4 },
      samplesPerPrompt: SAMPLES,
      microBatchSize: 16,
      ...settings,
    });
    const run = await begin(config, engine);
    const generator = createGenerator(generating(), language);
    const prompts = [
      [0, 5],
      [0, 9],
    ];
    const scores = [];
    for (let step = 0; step < 25; step++) {
      const weights = { version: `${step}`, parameters: await run.trainer.parameters('policy') };
      const items = await Promise.all(
        prompts.flatMap((promptTokens, index) =>
          Array.from({ length: SAMPLES }, async (_, sample) => {
            const id = `tiny/${step}/${index}/${sample}`;
            const { tokens, logprobs } = await generator.generate({
              weights,
              promptTokens,
              sampling: { temperature: 1, topK: 0, topP: 1 },
              maxNewTokens: 4,
              stopTokens: [],
              key: keyFor(0, id),
            });
            const score = tokens.filter((token) => token === GOOD).length;
            return episodeItem(id, { promptTokens, tokens }, { logprobs, reference: logprobs, score });
          }),
        ),
      );
      scores.push((await run.update(items))['objective/scores']!);
    }
    const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
    expect(mean(scores.slice(0, 3))).toBeLessThan(0.5);
    expect(mean(scores.slice(-3))).toBeGreaterThan(3);
    generator.close();
    await run.trainer.close();
  });
}
