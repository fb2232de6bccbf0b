import { ppoPolicyLoss, valueLoss } from '@rlhf-streams/alignment';
import type { Item } from '@rlhf-streams/runs';
import { type Engine, onnxPool } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  begin,
  directionOf,
  distance,
  episodeItem,
  language,
  logprobsOf,
  oneBatch,
  runOf,
  scalar,
  type TinyRun,
  tokenSource,
} from '../tiny.test.support.js';
import type { LossProgram } from '../trainer/program.js';
import { nextTokenLogprobs, scalarsAt } from './forward.js';
import { sequenceInputs } from './rows.js';

let pool: Engine;
beforeAll(() => {
  pool = onnxPool({ workers: 2 });
});
afterAll(() => pool.close());

const PROMPTS = 3;
const SAMPLES = 2;
const KL_COEF = 0.2;
const TEMPERATURE = 0.7;
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;

const configOf = (baseline: 'batch_mean' | 'leave_one_out') =>
  runOf('reinforce', {
    samplesPerPrompt: SAMPLES,
    sampling: { temperature: TEMPERATURE },
    reinforce: { baseline, klCoef: KL_COEF },
  });

/** Samples of a few prompts with the log-probs that the policy itself gives them, and everything else at random. */
async function sampled({ trainer }: TinyRun) {
  const source = tokenSource(3);
  const sequences = Array.from({ length: PROMPTS * SAMPLES }, () => source.sequence());
  const logprobs = await logprobsOf(trainer, sequences, TEMPERATURE);
  const said = sequences.map((_, i) => ({
    logprobs: logprobs[i]!,
    reference: logprobs[i]!.map((lp) => Math.min(0, lp + 0.4 * (source.float() - 0.5))),
    score: source.float(),
  }));
  const items = sequences.map((sequence, i) =>
    episodeItem(`tiny/0/${Math.floor(i / SAMPLES)}/${i % SAMPLES}`, sequence, said[i]!),
  );
  const rewards = said.map(
    ({ logprobs, reference, score }) => score - KL_COEF * sum(logprobs.map((lp, t) => lp - reference[t]!)),
  );
  return { sequences, logprobs, items, rewards };
}

/** The baselines of PROMPTS * SAMPLES rewards: with two samples, the other one's reward is the mean of the others. */
const baselinesOf = {
  batch_mean: (rewards: readonly number[]) => rewards.map(() => mean(rewards)),
  leave_one_out: (rewards: readonly number[]) => rewards.map((_, i) => rewards[i % 2 === 0 ? i + 1 : i - 1]!),
};

const ppoLoss: LossProgram = {
  roles: ['policy'],
  inputs: sequenceInputs('oldLogprobs', 'advantages'),
  loss({ policy }, batch, normaliser) {
    const { oldLogprobs, advantages, mask } = batch;
    const logprobs = nextTokenLogprobs(language, policy, batch, TEMPERATURE);
    const options = { oldLogprobs: oldLogprobs!, advantages: advantages!, mask: mask!, cliprange: 0.2 };
    return ppoPolicyLoss({ logprobs, ...options, normaliser });
  },
};

const squaredErrors: LossProgram = {
  roles: ['value'],
  inputs: sequenceInputs('returns'),
  loss({ value }, batch, normaliser) {
    const values = scalarsAt(scalar, value, batch);
    return valueLoss({ values, returns: batch.returns!, mask: batch.mask!, normaliser });
  },
};

describe.each(['batch_mean', 'leave_one_out'] as const)('with the baseline %s', (baseline) => {
  it('a step is one update, by the gradient of PPO at rho = 1', async () => {
    const run = await begin(configOf(baseline), pool);
    const { sequences, logprobs, items, rewards } = await sampled(run);
    await run.update(items);
    expect((await run.trainer.state()).updates).toBe(1);

    const other = await begin(configOf(baseline), pool, { programs: { gradients: { ppo: ppoLoss } } });
    const baselines = baselinesOf[baseline](rewards);
    const advantages = sequences.map(({ tokens }, i) => tokens.map(() => rewards[i]! - baselines[i]!));
    await other.trainer.update('ppo', [oneBatch(sequences, { oldLogprobs: logprobs, advantages })], {
      normaliser: sequences.length,
      learningRate: 1e-3,
    });
    expect(distance(await directionOf(other), await directionOf(run))).toBeLessThan(1e-4);
    await run.trainer.close();
    await other.trainer.close();
  });

  it('results say of each response its reward, its advantage, and KL and entropy by token', async () => {
    const run = await begin(configOf(baseline), pool);
    const { items, logprobs, rewards } = await sampled(run);
    const metrics = await run.update(items);
    const results = run.results!;
    const numbers = (key: string) => results.map((result) => result[key] as number);
    const rows = (key: string) => results.map((result) => result[key] as readonly number[]);

    expect(results.map(({ item }) => item)).toEqual(items.map(({ id }) => id));
    expect(numbers('score')).toEqual(items.map(({ reward }) => reward!.score));
    const baselines = baselinesOf[baseline](rewards);
    numbers('reward').forEach((reward, i) => {
      expect(reward).toBeCloseTo(rewards[i]!, 10);
      expect(numbers('advantage')[i]).toBeCloseTo(rewards[i]! - baselines[i]!, 10);
    });
    expect(metrics['objective/rlhf_reward']).toBeCloseTo(mean(rewards), 10);
    expect(metrics['objective/kl']).toBeCloseTo(mean(rows('kl').map(sum)), 10);
    expect(rows('entropy').map(({ length }) => length)).toEqual(rows('kl').map(({ length }) => length));
    expect(metrics['policy/entropy_avg']).toBeCloseTo(mean(rows('entropy').flat()), 6);
    const losses = numbers('advantage').map((advantage, i) => -advantage * sum(logprobs[i]!));
    expect(metrics['loss/policy_avg']).toBeCloseTo(mean(losses), 4);
    expect(metrics.episode).toBe(items.length);
    expect((await run.update(items)).episode).toBe(2 * items.length);
    await run.trainer.close();
  });
});

it('a response whose prompt has no other left teaches nothing by leave-one-out: the others failed', async () => {
  const without = async (pick: (items: readonly Item[]) => Item[]) => {
    const run = await begin(configOf('leave_one_out'), pool);
    await run.update(pick((await sampled(run)).items));
    const end = { direction: await directionOf(run), results: run.results! };
    await run.trainer.close();
    return end;
  };
  const pairs = await without((items) => items.slice(0, 4));
  const oneMore = await without((items) => items.slice(0, 5));
  expect(oneMore.results[4]).toMatchObject({ advantage: 0 });
  expect(distance(pairs.direction, oneMore.direction)).toBeLessThan(1e-5);
});

describe.each([
  ['of the rewards from a token on', true],
  ['of the reward of the whole response', false],
])('a value model, which learns the sum %s', (_, rewardToGo) => {
  const settings = { baseline: 'value', klCoef: KL_COEF, vfCoef: 0.5, rewardToGo };
  const config = runOf('reinforce', {
    sampling: { temperature: TEMPERATURE },
    reinforce: settings,
  });

  it('is the baseline of each token, and learns beside the policy', async () => {
    const run = await begin(config, pool);
    const { sequences, logprobs, items, rewards } = await sampled(run);
    const metrics = await run.update(items);
    const rows = (key: string) => run.results!.map((result) => result[key] as readonly number[]);
    const [values, advantages, returns] = [rows('values'), rows('advantages'), rows('returns')];

    returns.forEach((row, i) => {
      const kls = logprobs[i]!.map((lp, t) => lp - items[i]!.reference!.logprobs[0]![t]!);
      row.forEach((gain, t) => {
        const expected = rewardToGo ? items[i]!.reward!.score - KL_COEF * sum(kls.slice(t)) : rewards[i]!;
        expect(gain).toBeCloseTo(expected, 10);
        expect(advantages[i]![t]).toBeCloseTo(gain - values[i]![t]!, 10);
      });
    });
    const squares = returns.flatMap((row, i) => row.map((gain, t) => (gain - values[i]![t]!) ** 2));
    expect(metrics['loss/value_avg']).toBeCloseTo(0.5 * mean(squares), 5);

    // PPO's loss of the policy at rho = 1, over as many responses, and of the values, over as many tokens.
    const other = await begin(config, pool, {
      programs: { gradients: { ppo: ppoLoss, values: squaredErrors } },
    });
    const { trainer } = other;
    const batch = oneBatch(sequences, { oldLogprobs: logprobs, advantages });
    await trainer.accumulate('ppo', [batch], sequences.length);
    await trainer.accumulate('values', [oneBatch(sequences, { returns })], squares.length);
    await trainer.apply({ learningRate: 1e-3 });
    for (const role of ['policy', 'value'])
      expect(distance(await directionOf(other, role), await directionOf(run, role))).toBeLessThan(1e-4);
    await run.trainer.close();
    await other.trainer.close();
  });
});

describe('scores normalised over all steps so far', () => {
  const config = runOf('reinforce', {
    reinforce: { scoreNormalisation: 'running', scoreClip: 1.2, klCoef: 0 },
  });
  const scored = (step: number, scores: readonly number[]): Item[] =>
    scores.map((score, i) => {
      const sequence = { promptTokens: [0], tokens: [1 + i] };
      return episodeItem(`tiny/${step}/${i}/0`, sequence, { logprobs: [-1], reference: [-1], score });
    });

  it('are used so, published raw, and their statistics carried to the next step', async () => {
    const run = await begin(config, pool);
    await run.update(scored(0, [1, 3]));
    expect(run.carry).toEqual({ scoreCount: 2, scoreMean: 2, scoreM2: 2, episode: 2 });
    const metrics = await run.update(scored(1, [8, 4]));
    // 1, 3, 8, 4: mean 4 and variance 26 / 3.
    expect(run.carry).toEqual({ scoreCount: 4, scoreMean: 4, scoreM2: 26, episode: 4 });
    expect(run.results!.map(({ score }) => score)).toEqual([8, 4]);
    const used = run.results!.map(({ used_score }) => used_score as number);
    expect(used[0]).toBe(1.2);
    expect(used[1]).toBeCloseTo(0, 8);
    expect(metrics).toMatchObject({
      'objective/scores': 6,
      'objective/used_scores': 0.6,
      'objective/score_mean': 4,
      'objective/score_clipfrac': 0.5,
      'objective/rlhf_reward': 0.6,
    });
    expect(metrics['objective/score_std']).toBeCloseTo(Math.sqrt(26 / 3), 10);
    await run.trainer.close();
  });
});

it('the KL in the loss, by k2, pulls each token by its log-ratio to the reference', async () => {
  const settings = { klCoef: 0, klLoss: { coef: 0.3 } };
  const config = runOf('reinforce', {
    sampling: { temperature: TEMPERATURE },
    samplesPerPrompt: SAMPLES,
    reinforce: settings,
  });
  const run = await begin(config, pool);
  const { sequences, logprobs, items } = await sampled(run);
  // Equal scores have no advantage: the KL alone is left.
  const equal = items.map((item) => ({ ...item, reward: { ...item.reward!, score: 2 } }));
  const metrics = await run.update(equal);
  const ratios = items.map(({ reference }, i) =>
    logprobs[i]!.map((lp, t) => lp - reference!.logprobs[0]![t]!),
  );
  const k2 = ratios.map((row) => sum(row.map((d) => (d * d) / 2)));
  expect(metrics['loss/kl_avg']).toBeCloseTo(mean(k2), 5);
  expect(metrics['loss/policy_avg']).toBeCloseTo(0, 6);

  const other = await begin(config, pool, { programs: { gradients: { ppo: ppoLoss } } });
  const advantages = ratios.map((row) => row.map((d) => -d));
  await other.trainer.update('ppo', [oneBatch(sequences, { oldLogprobs: logprobs, advantages })], {
    normaliser: sequences.length,
    learningRate: 1e-3,
  });
  expect(distance(await directionOf(other), await directionOf(run))).toBeLessThan(1e-4);
  await run.trainer.close();
  await other.trainer.close();
});

it('a step without rollouts is an error: every one of them failed', async () => {
  const run = await begin(configOf('batch_mean'), pool);
  await expect(run.update([])).rejects.toMatchObject({ code: 'TRAINING_EMPTY_STEP' });
  await run.trainer.close();
});
