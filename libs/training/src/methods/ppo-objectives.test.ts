import { klEstimate } from '@rlhf-streams/alignment';
import { type Engine, onnxPool } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resultsFile } from '../results.js';
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
  type TinyRun,
  tokenSource,
} from '../tiny.test.support.js';
import type { LossProgram } from '../trainer/program.js';
import { nextTokenLogits } from './forward.js';
import { sequenceInputs, tokenCount } from './rows.js';

let engine: Engine;
beforeAll(() => {
  engine = onnxPool({ workers: 1 });
});
afterAll(() => engine.close());

const source = tokenSource(5);
const sequences = Array.from({ length: 6 }, () => source.sequence());
const scores = sequences.map(() => source.float());
const optimizer = { learningRate: 1e-2, maxGradNorm: 1e9 };
const configOf = (ppo: object) =>
  runOf('ppo', { sampling: { temperature: 1 }, optimizer, ppo: { vfCoef: 0.5, ...ppo } });

/** Rollouts with the log-probs that the policy itself gives them. */
async function onPolicy({ trainer }: TinyRun) {
  const logprobs = await logprobsOf(trainer, sequences, 1);
  return sequences.map((sequence, i) =>
    episodeItem(`tiny/0/${i}/0`, sequence, {
      logprobs: logprobs[i]!,
      reference: logprobs[i]!,
      score: scores[i]!,
    }),
  );
}

/** What a step on its own rollouts comes to. */
async function afterStep(ppo: object) {
  const run = await begin(configOf(ppo), engine);
  const items = await onPolicy(run);
  const metrics = await run.update(items);
  const logprobs = await logprobsOf(run.trainer, sequences, 1);
  const state = await run.trainer.state();
  const end = { metrics, items, logprobs, carry: run.carry, results: run.results, bits: await bitsOf(run) };
  await run.trainer.close();
  return { ...end, updates: state.updates, gradient: numbersOf(state.m, 'policy') };
}

describe('the objective penalty', () => {
  const penalty = { objective: 'penalty', numPpoEpochs: 2 };

  it('begins where the clip does: at ratio 1 both have the policy gradient', async () => {
    const once = { numPpoEpochs: 1 };
    const [clip, penalised] = [await afterStep(once), await afterStep({ ...penalty, ...once })];
    expect(distance(clip.gradient, penalised.gradient)).toBeLessThan(1e-4);
  });

  it.each([
    ['doubled, where the policy went too far', 1e-6, 2],
    ['halved, where it hardly went', 1e6, 0.5],
  ])('has its weight %s', async (_, target, factor) => {
    const { metrics, carry, items, logprobs } = await afterStep({ ...penalty, penalty: { beta: 3, target } });
    expect(metrics['policy/beta']).toBe(3);
    expect(carry.beta).toBe(3 * factor);
    const kls = items.flatMap(({ rollout }, i) =>
      rollout!.logprobs.map((old, t) => klEstimate('k3', old, logprobs[i]![t]!)),
    );
    const mean = kls.reduce((a, b) => a + b) / kls.length;
    expect(mean).toBeGreaterThan(1e-4);
    expect(metrics['policy/kl_old']).toBeCloseTo(mean, 6);
    expect(metrics).not.toHaveProperty('policy/clipfrac_avg');
  });

  it('holds the policy back as its weight says, which the carry hands on', async () => {
    const klAt = async (beta: number) =>
      (await afterStep({ ...penalty, penalty: { beta } })).metrics['policy/kl_old']!;
    expect(await klAt(100)).toBeLessThan((await klAt(0.01)) / 2);
  });
});

describe('the entropy bonus', () => {
  it("adds the gradient of the policy's mean entropy", async () => {
    const once = { numPpoEpochs: 1 };
    const entropy: LossProgram = {
      roles: ['policy'],
      inputs: sequenceInputs(),
      loss({ policy }, batch, normaliser) {
        const logp = tf.logSoftmax(nextTokenLogits(language, policy, batch));
        const perToken = tf.neg(tf.sum(tf.mul(tf.exp(logp), logp), -1));
        const loss = tf.div(tf.sum(tf.mul(perToken, batch.mask!)), normaliser) as tf.Scalar;
        return { loss, stats: {} };
      },
    };
    const run = await begin(configOf(once), engine, { programs: { gradients: { entropy } } });
    const rates = { normaliser: tokenCount(sequences), learningRate: 1e-3 };
    const { stats } = await run.trainer.update('entropy', [oneBatch(sequences)], rates);
    const rise = numbersOf((await run.trainer.state()).m, 'policy');
    await run.trainer.close();

    const plain = await afterStep(once);
    const bonus = await afterStep({ ...once, entropyCoef: 0.4 });
    const expected = plain.gradient.map((g, i) => g - 0.4 * rise[i]!);
    expect(distance(expected, bonus.gradient)).toBeLessThan(1e-4);
    expect(distance(plain.gradient, bonus.gradient)).toBeGreaterThan(0.01);
    expect(bonus.metrics['policy/entropy_avg']).toBeCloseTo(stats.loss!, 5);
  });
});

describe('the target KL', () => {
  const passes = { numPpoEpochs: 5, numMiniBatches: 2 };

  it('ends the updates of a step before the first mini-batch that is too far from the old policy', async () => {
    const targetKl = 0.002;
    const free = await afterStep(passes);
    const { metrics, updates } = await afterStep({ ...passes, targetKl });
    expect(free.updates).toBe(10);
    expect(updates).toBeGreaterThan(0);
    expect(updates).toBeLessThan(10);
    expect(metrics['policy/updates']).toBe(updates);
    // Those measured are the updates made, each within bounds, and the one that was not.
    const { 'policy/approxkl_avg': mean } = metrics;
    expect(mean! * (updates + 1)).toBeGreaterThan(1.5 * targetKl);
    expect(mean).toBeLessThan(free.metrics['policy/approxkl_avg']!);
  });

  it('changes no bit of a step that stays below it', async () => {
    const free = await afterStep(passes);
    expect((await afterStep({ ...passes, targetKl: 1e3 })).bits).toEqual(free.bits);
  });

  it('lets a step go by whose rollouts another policy sampled, and says what there is to say of each', async () => {
    const run = await begin(configOf({ ...passes, targetKl: 1e-6 }), engine);
    const before = await bitsOf(run);
    const metrics = await run.update(itemsFor('ppo', 6));
    expect(await bitsOf(run)).toEqual(before);
    expect(metrics).toMatchObject({ 'policy/updates': 0 });
    expect(metrics).not.toHaveProperty('grad_norm');
    const measured = run.results!.map(({ entropy }) => (entropy as number[]).length > 0);
    expect(measured.filter(Boolean)).toHaveLength(3);
    expect(resultsFile(run.results!).length).toBeGreaterThan(0);
    await run.trainer.close();
  });
});

describe('bounds of the clip', () => {
  const passes = { numPpoEpochs: 4 };

  it('change the update where they differ from the plain clip, and only there', async () => {
    const plain = await afterStep(passes);
    expect((await afterStep({ ...passes, cliprangeHigh: 0.2 })).bits).toEqual(plain.bits);
    for (const bound of [{ cliprangeHigh: 0.5 }, { dualClip: 1.01 }])
      expect((await afterStep({ ...passes, ...bound })).bits.p).not.toEqual(plain.bits.p);
  });
});
