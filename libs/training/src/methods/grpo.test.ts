import { groupAdvantages, reinforceLoss } from '@rlhf-streams/alignment';
import type { Item } from '@rlhf-streams/runs';
import { type Engine, onnxPool } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  begin,
  bitsOf,
  directionOf,
  distance,
  episodeItem,
  language,
  logprobsOf,
  oneBatch,
  runOf,
  type TinyRun,
  tokenSource,
} from '../tiny.test.support.js';
import type { LossProgram } from '../trainer/program.js';
import { nextTokenLogprobs } from './forward.js';
import { sequenceInputs } from './rows.js';

let pool: Engine;
beforeAll(() => {
  pool = onnxPool({ workers: 2 });
});
afterAll(() => pool.close());

const PROMPTS = 2;
const SAMPLES = 3;
const TEMPERATURE = 0.7;
const LONGEST = 12;
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;

const configOf = (grpo: object) =>
  runOf('grpo', {
    samplesPerPrompt: SAMPLES,
    sampling: { temperature: TEMPERATURE, maxNewTokens: LONGEST },
    grpo,
  });

/** Samples of a few prompts with the log-probs that the policy itself gives them, and everything else at random. */
async function sampled({ trainer }: TinyRun, scoreOf = (random: number) => random) {
  const source = tokenSource(5);
  const sequences = Array.from({ length: PROMPTS * SAMPLES }, () => source.sequence());
  const logprobs = await logprobsOf(trainer, sequences, TEMPERATURE);
  const items = sequences.map((sequence, i): Item => {
    const reference = logprobs[i]!.map((lp) => Math.min(0, lp + 0.4 * (source.float() - 0.5)));
    const said = { logprobs: logprobs[i]!, reference, score: scoreOf(source.float()) };
    return episodeItem(`tiny/0/${Math.floor(i / SAMPLES)}/${i % SAMPLES}`, sequence, said);
  });
  return { sequences, logprobs, items };
}

const policyGradient: LossProgram = {
  roles: ['policy'],
  inputs: sequenceInputs('advantages'),
  loss({ policy }, batch, normaliser) {
    const logprobs = nextTokenLogprobs(language, policy, batch, TEMPERATURE);
    return reinforceLoss({ logprobs, advantages: batch.advantages!, mask: batch.mask!, normaliser });
  },
};

it.each([
  ['grpo', (length: number) => 1 / length],
  ['dr_grpo', () => 1 / LONGEST],
  ['bnpo', () => 1],
] as const)(
  'the first update goes where the policy gradient goes, tokens weighted by loss type %s',
  async (lossType, weightOf) => {
    const config = configOf({ lossType, beta: 0 });
    const run = await begin(config, pool);
    const { sequences, items } = await sampled(run);
    const metrics = await run.update(items);
    expect(metrics).toMatchObject({ 'policy/clipfrac_avg': 0, frac_reward_zero_std: 0 });
    expect(metrics['val/ratio']).toBeCloseTo(1, 5);

    const samples = items.map(({ rollout, reward }) => ({ prompt: rollout!.prompt, reward: reward!.score }));
    const advantages = groupAdvantages(samples, { scaleRewards: 'group' });
    expect(run.results!.map(({ advantage }) => advantage)).toEqual([...advantages]);

    const weighted = sequences.map(({ tokens }, i) =>
      tokens.map(() => advantages[i]! * weightOf(tokens.length)),
    );
    const other = await begin(config, pool, { programs: { gradients: { policyGradient } } });
    await other.trainer.update('policyGradient', [oneBatch(sequences, { advantages: weighted })], {
      normaliser: 1,
      learningRate: 1e-3,
    });
    expect(distance(await directionOf(other), await directionOf(run))).toBeLessThan(1e-4);
    await run.trainer.close();
    await other.trainer.close();
  },
);

it('equal scores of a prompt teach nothing, and are told', async () => {
  const run = await begin(configOf({ beta: 0 }), pool);
  const before = await bitsOf(run);
  const metrics = await run.update((await sampled(run, () => 0.3)).items);
  expect(metrics).toMatchObject({ frac_reward_zero_std: 1, grad_norm: 0 });
  expect((await bitsOf(run)).p).toEqual(before.p);
  await run.trainer.close();
});

it.each([
  [undefined, (d: number) => Math.exp(-d) - 1 + d],
  ['k2', (d: number) => d ** 2 / 2],
] as const)(
  'the KL is a term of the loss, each response as much as the others: klEstimator %s',
  async (klEstimator, estimate) => {
    const run = await begin(configOf({ beta: 0.5, klEstimator }), pool);
    const { items, logprobs } = await sampled(run, () => 0.3);
    const metrics = await run.update(items);
    const kl = items.map(({ reference }, i) =>
      mean(logprobs[i]!.map((lp, t) => estimate(lp - reference!.logprobs[0]![t]!))),
    );
    expect(metrics['loss/kl_avg']).toBeCloseTo(mean(kl), 5);
    expect(metrics['loss/policy_avg']).toBeCloseTo(0, 6);
    expect(metrics.grad_norm).toBeGreaterThan(0);
    // The reward has no part of it.
    expect(metrics['objective/rlhf_reward']).toBe(metrics['objective/scores']);
    await run.trainer.close();
  },
);

it('goes over the rollouts several times in mini-batches, and clips', async () => {
  const config = runOf('grpo', {
    samplesPerPrompt: SAMPLES,
    optimizer: { learningRate: 3e-2 },
    sampling: { temperature: TEMPERATURE },
    grpo: { numIterations: 3, numMiniBatches: 2, epsilon: 0.01, importanceSampling: {} },
  });
  const run = await begin(config, pool);
  const { items } = await sampled(run);
  const metrics = await run.update(items);
  expect((await run.trainer.state()).updates).toBe(6);
  expect(metrics['policy/clipfrac_avg']).toBeGreaterThan(0);
  expect(metrics['val/ratio_var']).toBeGreaterThan(0);
  expect(run.carry).toEqual({ episode: items.length });
  // A second step on the same rollouts is of a policy that did not sample them.
  const later = await run.update(items);
  expect(later['sampling/importance_sampling_ratio/mean']).not.toBe(1);
  await run.trainer.close();
});
