import { gae, rlhfReward, whiten } from '@rlhf-streams/alignment';
import type { Item } from '@rlhf-streams/runs';
import { type Engine, onnxPool } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  begin,
  bitsOf,
  distance,
  episodeItem,
  itemsFor,
  language,
  logprobsOf,
  numbersOf,
  oneBatch,
  runOf,
  scalar,
  type TinyRun,
  tokenSource,
} from '../tiny.test.support.js';
import type { LossProgram, Programs } from '../trainer/program.js';
import { nextTokenLogprobs, scalarsAt } from './forward.js';
import { bySequence, sequenceInputs, tokenCount } from './rows.js';

let single: Engine;
let pool: Engine;
beforeAll(() => {
  single = onnxPool({ workers: 1 });
  pool = onnxPool({ workers: 2 });
});
afterAll(() => Promise.all([single.close(), pool.close()]));

const ROLLOUTS = 6;
const ONCE = { numPpoEpochs: 1, numMiniBatches: 1 };

/** Rollouts with the log-probs that the policy itself gives them, and everything else at random. */
async function onPolicy({ trainer }: TinyRun, temperature = 1) {
  const source = tokenSource(3);
  const sequences = Array.from({ length: ROLLOUTS }, () => source.sequence());
  const logprobs = await logprobsOf(trainer, sequences, temperature);
  return sequences.map((sequence, i) => {
    const reference = logprobs[i]!.map((lp) => Math.min(0, lp + 0.4 * (source.float() - 0.5)));
    return { sequence, logprobs: logprobs[i]!, reference, score: source.float() };
  });
}

const asItems = (rollouts: Awaited<ReturnType<typeof onPolicy>>): Item[] =>
  rollouts.map(({ sequence, ...said }, i) => episodeItem(`tiny/0/${i}/0`, sequence, said));

describe('the first update, when the policy is the one that generated', () => {
  it.each([
    ['temperature 1', 1, 1],
    ['temperature 0.7', 0.7, 0.7],
    ['greedy generation, whose log-probs are undivided', 0, 1],
  ])('at %s has ratio 1 and clips nothing', async (_, temperature, divided) => {
    const run = await begin(runOf('ppo', { ppo: ONCE, sampling: { temperature } }), pool);
    const metrics = await run.update(asItems(await onPolicy(run, divided)));
    expect(metrics['val/ratio']).toBeCloseTo(1, 5);
    expect(metrics).not.toHaveProperty('val/ratio_var');
    expect(metrics['policy/clipfrac_avg']).toBe(0);
    expect(metrics['val/clipfrac_avg']).toBe(0);
    expect(metrics['policy/approxkl_avg']).toBeCloseTo(0, 8);
    // -mean A, and A is whitened.
    expect(metrics['loss/policy_avg']).toBeCloseTo(0, 5);
    await run.trainer.close();
  });

  it('goes where REINFORCE goes, with GAE of the rewards as its advantages', async () => {
    const temperature = 0.7;
    const ppo = { ...ONCE, vfCoef: 0, klCoef: 0.2 };
    const run = await begin(runOf('ppo', { ppo, sampling: { temperature } }), pool);
    const rollouts = await onPolicy(run, temperature);
    await run.update(asItems(rollouts));
    const expected = await reinforce(rollouts, { temperature, klCoef: 0.2 });
    expect(distance(expected, direction(await gradientOf(run)))).toBeLessThan(1e-4);
    await run.trainer.close();
  });
});

/** The first gradient of the policy: the optimizer's first moment after one update. */
const gradientOf = async ({ trainer }: TinyRun) => numbersOf((await trainer.state()).m, 'policy');

function direction(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector);
  expect(length).toBeGreaterThan(1e-4);
  return vector.map((x) => x / length);
}

/** The direction of the policy gradient of REINFORCE, each token's advantage times its weight. */
async function reinforce(
  rollouts: Awaited<ReturnType<typeof onPolicy>>,
  options: { temperature: number; klCoef: number; weights?: readonly (readonly number[])[] },
): Promise<number[]> {
  const { temperature, klCoef, weights } = options;
  const run = await begin(runOf('ppo'), pool, { programs: reinforcePrograms(temperature) });
  const sequences = rollouts.map(({ sequence }) => sequence);
  const [output] = await run.trainer.infer('test values', [oneBatch(sequences)]);
  const allValues = bySequence(output!.values!, sequences);
  const estimates = rollouts.map(({ logprobs, reference, score }, row) => {
    const { rewards } = rlhfReward(
      { logprobs, refLogprobs: reference, score, endedWithEos: true },
      { klCoef },
    );
    return gae({ rewards, values: allValues[row]! }, { gamma: 1, lam: 0.95 });
  });
  const advantages = whiten(estimates.map(({ advantages }) => advantages)).map((row, i) =>
    row.map((advantage, t) => advantage * (weights ? weights[i]![t]! : 1)),
  );
  await run.trainer.update('reinforce', [oneBatch(sequences, { advantages })], {
    normaliser: tokenCount(sequences),
    learningRate: 1e-3,
  });
  const gradient = direction(await gradientOf(run));
  await run.trainer.close();
  return gradient;
}

const reinforcePrograms = (temperature: number): Programs => {
  const reinforce: LossProgram = {
    roles: ['policy'],
    inputs: sequenceInputs('advantages'),
    loss({ policy }, batch, normaliser) {
      const logprobs = nextTokenLogprobs(language, policy, batch, temperature);
      const gain = tf.div(tf.sum(tf.mul(tf.mul(logprobs, batch.advantages!), batch.mask!)), normaliser);
      return { loss: tf.neg(gain) as tf.Scalar, stats: {} };
    },
  };
  return {
    gradients: { reinforce },
    inference: {
      'test values': {
        roles: ['value'],
        inputs: sequenceInputs(),
        infer: ({ value }, batch) => ({ values: scalarsAt(scalar, value, batch) }),
      },
    },
  };
};

describe('importance sampling', () => {
  const RATIO = 'sampling/importance_sampling_ratio';
  const CAP = 1.25;
  const importanceSampling = { cap: CAP };

  /** As an older version, or another run, would have sampled them: with log-probs that are not quite the policy's. */
  function asSampledBefore(items: readonly Item[], from: { run?: string; policyVersion?: number }): Item[] {
    const source = tokenSource(11);
    return items.map((item) => {
      const logprobs = item.rollout!.logprobs.map((lp) => Math.min(0, lp + 0.8 * (source.float() - 0.5)));
      return { ...item, rollout: { ...item.rollout!, ...from, logprobs } };
    });
  }

  it('changes no bit of a step whose rollouts are all of the policy that is trained', async () => {
    const ends = [];
    for (const more of [{}, { importanceSampling }]) {
      const ppo = { numPpoEpochs: 3, numMiniBatches: 2, ...more };
      const run = await begin(runOf('ppo', { ppo }), pool);
      const metrics = await run.update(itemsFor('ppo', ROLLOUTS));
      ends.push(await bitsOf(run));
      const one = {
        [`${RATIO}/min`]: 1,
        [`${RATIO}/mean`]: 1,
        [`${RATIO}/max`]: 1,
        [`${RATIO}/truncated`]: 0,
      };
      if ('importanceSampling' in ppo) expect(metrics).toMatchObject(one);
      else expect(Object.keys(metrics).filter((name) => name.startsWith('sampling/'))).toEqual([]);
      await run.trainer.close();
    }
    expect(ends[1]).toEqual(ends[0]);
  });

  it.each([
    ['an older version', { policyVersion: -1 }],
    ['the run that it replays', { run: 'replayed' }],
  ])('of rollouts by %s clips around the policy itself, and weighs the gradient', async (_, from) => {
    const ppo = { ...ONCE, vfCoef: 0, klCoef: 0.2, importanceSampling };
    const run = await begin(runOf('ppo', { ppo, sampling: { temperature: 0.7 } }), pool);
    const rollouts = await onPolicy(run, 0.7);
    const items = asSampledBefore(asItems(rollouts), from);
    const metrics = await run.update(items);

    const ratios = rollouts.map(({ logprobs }, i) =>
      logprobs.map((lp, t) => Math.exp(lp - items[i]!.rollout!.logprobs[t]!)),
    );
    const weights = ratios.map((row) => row.map((ratio) => Math.min(ratio, CAP)));
    const mean = (rows: readonly number[][]) => rows.flat().reduce((a, b) => a + b) / rows.flat().length;
    expect(metrics[`${RATIO}/mean`]).toBeCloseTo(mean(weights), 5);
    expect(metrics[`${RATIO}/min`]).toBeCloseTo(Math.min(...weights.flat()), 5);
    expect(metrics[`${RATIO}/max`]).toBe(CAP);
    const truncated = mean(ratios.map((row) => row.map((ratio) => Number(ratio > CAP))));
    expect(truncated).toBeGreaterThan(0);
    expect(metrics[`${RATIO}/truncated`]).toBeCloseTo(truncated, 12);
    expect(metrics['val/ratio']).toBeCloseTo(1, 5);
    expect(metrics['policy/clipfrac_avg']).toBe(0);

    const said = rollouts.map((rollout, i) => ({ ...rollout, logprobs: items[i]!.rollout!.logprobs }));
    const expected = await reinforce(said, { temperature: 0.7, klCoef: 0.2, weights });
    expect(distance(expected, direction(await gradientOf(run)))).toBeLessThan(1e-4);
    await run.trainer.close();
  });

  it('leaves the rollouts of the policy itself as they are among those of older ones', async () => {
    const run = await begin(runOf('ppo', { ppo: { ...ONCE, importanceSampling } }), pool);
    const items = asItems(await onPolicy(run, 0.7));
    const [older] = asSampledBefore(items, { policyVersion: -1 });
    const metrics = await run.update([older!, ...items.slice(1)]);
    const lengths = items.map(({ rollout }) => rollout!.tokens.length);
    const weights = older!.rollout!.logprobs.map((lp, t) =>
      Math.min(CAP, Math.exp(items[0]!.rollout!.logprobs[t]! - lp)),
    );
    const tokens = lengths.reduce((a, b) => a + b);
    const expected = (tokens - lengths[0]! + weights.reduce((a, b) => a + b)) / tokens;
    expect(metrics[`${RATIO}/mean`]).toBeCloseTo(expected, 6);
    expect(metrics['val/ratio']).toBeCloseTo(1, 5);
    await run.trainer.close();
  });

  it('ends in the same bits on any number of workers', async () => {
    const ends = [];
    for (const engine of [single, pool]) {
      const run = await begin(runOf('ppo', { ppo: { importanceSampling } }), engine);
      await run.update(asSampledBefore(itemsFor('ppo', ROLLOUTS), { policyVersion: -1 }));
      ends.push(await bitsOf(run));
      await run.trainer.close();
    }
    expect(ends[1]).toEqual(ends[0]);
  });
});

describe('later epochs', () => {
  it('leave the policy that generated, and are clipped', async () => {
    const run = await begin(
      runOf('ppo', { ppo: { numPpoEpochs: 6 }, optimizer: { learningRate: 2e-2 } }),
      pool,
    );
    const metrics = await run.update(asItems(await onPolicy(run, 0.7)));
    expect(metrics['policy/approxkl_avg']).toBeGreaterThan(1e-4);
    expect(metrics['policy/clipfrac_avg']).toBeGreaterThan(0);
    expect((await run.trainer.state()).updates).toBe(6);
    await run.trainer.close();
  });

  it('spread the ratio: its variance is that of the mean ratios of the updates', async () => {
    const ppo = { numPpoEpochs: 2, numMiniBatches: 2 };
    const run = await begin(runOf('ppo', { ppo, optimizer: { learningRate: 2e-2 } }), pool);
    const updates = vi.spyOn(run.trainer, 'accumulate');
    const metrics = await run.update(asItems(await onPolicy(run, 0.7)));
    const ratios = (await Promise.all(updates.mock.results.map(({ value }) => value))).map(
      ({ stats }) => stats.ratio as number,
    );
    expect(ratios).toHaveLength(4);
    const mean = ratios.reduce((a, b) => a + b) / 4;
    const variance = ratios.reduce((sum, ratio) => sum + (ratio - mean) ** 2, 0) / 3;
    expect(variance).toBeGreaterThan(1e-6);
    expect(metrics['val/ratio']).toBeCloseTo(mean, 9);
    expect(metrics['val/ratio_var']).toBeCloseTo(variance, 9);
    await run.trainer.close();
  });

  it('go over mini-batches in an order of their own, which the seed decides', async () => {
    const ends = [];
    for (const seed of [0, 0, 1]) {
      const config = runOf('ppo', { ppo: { numPpoEpochs: 2, numMiniBatches: 3 }, seed });
      const run = await begin(config, pool);
      await run.update(itemsFor('ppo', ROLLOUTS));
      ends.push(await bitsOf(run));
      await run.trainer.close();
    }
    expect(ends[0]!.updates).toBe(6);
    expect(ends[1]).toEqual(ends[0]);
    expect(ends[2]!.p).not.toEqual(ends[0]!.p);
  });
});

describe('metrics of the rollouts', () => {
  const two = [
    episodeItem(
      'tiny/0/0/0',
      { promptTokens: [0], tokens: [1, 2] },
      { logprobs: [-1, -2], reference: [-1.5, -1], score: 3, parts: { model: 3, gold: 1 } },
    ),
    episodeItem(
      'tiny/0/1/0',
      { promptTokens: [0], tokens: [4] },
      { logprobs: [-1], reference: [-3], score: 1, finishReason: 'length', parts: { model: 1, gold: 0 } },
    ),
  ];

  it('leave out what a scorer does not apply to', async () => {
    const [one, other] = two as [Item, Item];
    const parts = { model: 1, gold: null, safety: null };
    const half = [one, { ...other, reward: { ...other.reward!, parts } }];
    const run = await begin(runOf('ppo', { ppo: ONCE }), pool);
    const metrics = await run.update(half);
    expect(metrics).toMatchObject({ 'scores/model': 2, 'scores/gold': 1 });
    expect(metrics).not.toHaveProperty('scores/safety');
  });

  it('are means over episodes', async () => {
    const run = await begin(runOf('ppo', { ppo: { ...ONCE, klCoef: 0.5, missingEosPenalty: 2 } }), pool);
    const metrics = await run.update(two);
    // KL is 0.5 - 1 = -0.5 and 2; the second response lacks its end and is fined.
    expect(metrics).toMatchObject({
      'objective/kl': 0.75,
      'objective/kl_coef': 0.5,
      'objective/entropy': 2,
      'objective/non_score_reward': -0.375,
      'objective/scores': 1,
      'objective/rlhf_reward': 0.625,
      'val/num_eos_tokens': 1,
      'rollout/length': 1.5,
      'rollout/staleness': 0,
      'rollout/staleness_max': 0,
      'scores/model': 2,
      'scores/gold': 0.5,
      episode: 2,
    });
    expect((await run.update(two.slice(0, 1))).episode).toBe(3);
    await run.trainer.close();
  });

  it('count versions between a rollout and its step', async () => {
    const run = await begin(runOf('ppo', { ppo: ONCE }), pool);
    const stale = two.map((item, i) => ({
      ...item,
      rollout: { ...item.rollout!, step: 5, policyVersion: 4 - 2 * i },
    }));
    expect(await run.update(stale)).toMatchObject({ 'rollout/staleness': 2, 'rollout/staleness_max': 3 });
    await run.trainer.close();
  });
});

describe('the KL coefficient', () => {
  const after = async (ppo: object) => {
    const run = await begin(runOf('ppo', { ppo: { ...ONCE, klCoef: 0.1, ...ppo } }), pool);
    await run.update(
      [0, 1].map((i) =>
        episodeItem(
          `tiny/0/${i}/0`,
          { promptTokens: [0], tokens: [1] },
          { logprobs: [-1], reference: [-2], score: 0 },
        ),
      ),
    );
    await run.trainer.close();
    return run.carry.klCoef;
  };

  it('stands still unless it is adaptive', async () => {
    expect(await after({})).toBe(0.1);
  });

  it.each([
    ['rises above', 0.5, 0.1 * (1 + (0.2 * 2) / 10)],
    ['stands still at', 1, 0.1],
    ['falls below', 4, 0.1 * (1 - (0.2 * 2) / 10)],
  ])('%s its target', async (_, target, coefficient) => {
    expect(await after({ adaptiveKl: { target, horizon: 10 } })).toBeCloseTo(coefficient, 12);
  });
});

describe('what cannot be learned from', () => {
  it('a step without rollouts is an error: every one of them failed', async () => {
    const run = await begin(runOf('ppo'), pool);
    await expect(run.update([])).rejects.toMatchObject({ code: 'TRAINING_EMPTY_STEP' });
    await run.trainer.close();
  });

  it('a rollout without its score or log-probs is named', async () => {
    const run = await begin(runOf('ppo'), pool);
    const [whole, { reference: _, ...part }] = itemsFor('ppo', 2) as [Item, Item];
    await expect(run.update([whole, part])).rejects.toMatchObject({
      code: 'TRAINING_ITEM_INCOMPLETE',
      message: 'expected item tiny/0/1/0 to have its reference',
    });
    await run.trainer.close();
  });
});
