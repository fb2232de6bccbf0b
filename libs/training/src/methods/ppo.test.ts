import { gae, rlhfReward, selectiveLogSoftmax, whiten } from '@rlhf-streams/alignment';
import { type Engine, onnxPool } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Item } from '../item.js';
import {
  begin,
  bitsOf,
  distance,
  episodeItem,
  itemsFor,
  language,
  logprobsOf,
  partOf,
  runOf,
  scalar,
  type TinyRun,
  tokenSource,
} from '../tiny.test.support.js';
import { nextTokenLogits, nextTokens, stateValues } from './forward.js';
import { completionPart, paddedLength, sequenceBatch, tokenCount } from './rows.js';

let pool: Engine;
beforeAll(() => {
  pool = onnxPool({ workers: 2 });
});
afterAll(() => pool.close());

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
    expect(metrics['val/ratio_var']).toBeCloseTo(0, 5);
    expect(metrics['policy/clipfrac_avg']).toBe(0);
    expect(metrics['val/clipfrac_avg']).toBe(0);
    expect(metrics['policy/approxkl_avg']).toBeCloseTo(0, 8);
    // -mean A, and A is whitened.
    expect(metrics['loss/policy_avg']).toBeCloseTo(0, 5);
    await run.trainer.close();
  });

  it('goes where REINFORCE goes, with GAE of the rewards as its advantages', async () => {
    const temperature = 0.7;
    const config = runOf('ppo', { ppo: { ...ONCE, vfCoef: 0, klCoef: 0.2 }, sampling: { temperature } });
    const ppo = await begin(config, pool);
    const rollouts = await onPolicy(ppo, temperature);
    await ppo.update(asItems(rollouts));

    const reinforce = await begin(config, pool);
    const sequences = rollouts.map(({ sequence }) => sequence);
    const shape = { rows: ROLLOUTS, T: paddedLength(sequences, language.contextLength) };
    const [output] = await reinforce.trainer.infer(
      { key: 'test values', infer: ({ value }, { ids }) => ({ values: stateValues(scalar, value, ids!) }) },
      [sequenceBatch(sequences, shape)],
    );
    const estimates = rollouts.map(({ logprobs, reference, score, sequence }, row) => {
      const { rewards } = rlhfReward(
        { logprobs, refLogprobs: reference, score, endedWithEos: true },
        { klCoef: 0.2 },
      );
      return gae(
        { rewards, values: completionPart(output!.values!, row, shape.T, sequence) },
        { gamma: 1, lam: 0.95 },
      );
    });
    const advantages = whiten(estimates.map(({ advantages }) => advantages));
    await reinforce.trainer.update(
      {
        key: 'reinforce',
        loss: ({ policy, value }, { ids, mask, advantages }, normaliser) => {
          const logprobs = selectiveLogSoftmax(
            nextTokenLogits(language, policy, ids!),
            nextTokens(ids!),
            temperature,
          );
          const gain = tf.div(tf.sum(tf.mul(tf.mul(logprobs, advantages!), mask!)), normaliser);
          // tfjs insists on a gradient for every parameter.
          const unused = Object.values(value).map((tensor) => tf.mul(0, tf.sum(tensor)));
          return {
            loss: unused.reduce((sum, zero) => tf.add(sum, zero), tf.neg(gain)) as tf.Scalar,
            stats: {},
          };
        },
      },
      [sequenceBatch(sequences, shape, { advantages })],
      { normaliser: tokenCount(sequences), learningRate: 1e-3 },
    );
    const gradient = ({ trainer }: TinyRun) => partOf(trainer.layout, trainer.state().m, 'policy');
    const direction = (vector: readonly number[]) => {
      const length = Math.hypot(...vector);
      return vector.map((x) => x / length);
    };
    expect(Math.hypot(...gradient(reinforce))).toBeGreaterThan(1e-4);
    expect(distance(direction(gradient(reinforce)), direction(gradient(ppo)))).toBeLessThan(1e-4);
    await ppo.trainer.close();
    await reinforce.trainer.close();
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
    expect(run.trainer.state().updates).toBe(6);
    await run.trainer.close();
  });

  it('go over mini-batches in an order of their own, which the seed decides', async () => {
    const ends = [];
    for (const seed of [0, 0, 1]) {
      const config = runOf('ppo', { ppo: { numPpoEpochs: 2, numMiniBatches: 3 }, seed });
      const run = await begin(config, pool);
      await run.update(itemsFor('ppo', ROLLOUTS));
      ends.push(bitsOf(run));
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
      'scores/model': 2,
      'scores/gold': 0.5,
      episode: 2,
    });
    expect((await run.update(two)).episode).toBe(4);
    await run.trainer.close();
  });

  it('count versions between a rollout and its step', async () => {
    const run = await begin(runOf('ppo', { ppo: ONCE }), pool);
    const stale = two.map((item) => ({ ...item, rollout: { ...item.rollout!, step: 5, policyVersion: 3 } }));
    expect(await run.update(stale)).toMatchObject({ 'rollout/staleness': 2 });
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
    return run.memory.klCoef;
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
