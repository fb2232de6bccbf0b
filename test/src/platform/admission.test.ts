/** What is decided before a run starts: whether its models fit. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataFor } from '@rlhf-streams/events';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  oneThread,
  tinyComparisons,
  tinyDpo,
  tinyModel,
  tinyPpo,
  tinyReward,
  tinySft,
  writeReviews,
} from './tiny-runs.js';

let folder: string;
let data: string;
let platform: Platform;
const complete = async (config: RunConfigInput) => {
  await requestRun(platform, config);
  return followRun(platform, config.run, {});
};

/** A vocabulary that is not that of `sft`. */
const otherModel = { ...tinyModel, vocabSize: 350 };
const otherSft = (): RunConfigInput => ({ ...tinySft(data), run: 'other', model: otherModel, steps: 2 });
const otherReward = (): RunConfigInput => ({ ...tinyReward(), run: 'other-reward', model: 'run:other' });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platform-'));
  data = await writeReviews(folder);
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'silent',
    environment: oneThread,
  });
  for (const config of [tinySft(data), tinyComparisons(data), tinyReward(), otherSft(), otherReward()])
    await complete(config);
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

const eventOf = async <Type extends 'run.started' | 'run.failed'>(wanted: Type, run: string) => {
  for await (const { type, data } of platform.events.follow({ topics: ['runs'] })) {
    if (data.run !== run) continue;
    if (type === wanted) return data as DataFor<Type>;
    if (type === 'run.completed' || type === 'run.failed') break;
  }
  throw new Error(`expected ${wanted} of run ${run}`);
};

describe('a run with a model that cannot do its part', () => {
  const policy = 'expected a policy, which is a language model';
  const ppo = (change: object): RunConfigInput => ({ ...tinyPpo(data, 'run:sft'), ...change });
  it.each<[run: string, config: () => RunConfigInput, message: RegExp | string]>([
    ['sft-of-reward', () => ({ ...tinySft(data), model: 'run:reward' }), policy],
    ['dpo-of-reward', () => ({ ...tinyDpo(), model: 'run:reward' }), policy],
    ['ppo-of-reward', () => ppo({ model: 'run:reward' }), policy],
    [
      'sample-of-reward',
      () => ({ ...tinyComparisons(data), model: 'run:reward' }),
      'model: run:reward: run reward trained a reward model',
    ],
    [
      'scored-by-policy',
      () => ppo({ scorers: ['run:sft'] }),
      'scorers[0]: run:sft: run sft trained a policy; expected a reward model or gold:DATA',
    ],
    [
      'scored-by-sample',
      () => ppo({ scorers: ['run:comparisons'] }),
      'scorers[0]: run:comparisons: run comparisons measured a policy; expected a reward model or gold:DATA',
    ],
    [
      'other-reference',
      () => ({ ...tinyDpo(), reference: 'run:other' }),
      /^reference: run:other: expected the tokenizer of model: run:sft, got another: 350 tokens and 320$/,
    ],
    [
      'other-value',
      () => ppo({ value: otherModel }),
      /^value: \{ layers: 2, .*\}: expected the tokenizer of model: run:sft, got another: 350 tokens and 320$/,
    ],
  ])('%s is refused in the words of its configuration', async (run, config, message) => {
    await requestRun(platform, { ...config(), run });
    const { cause } = await eventOf('run.failed', run);
    expect(cause.message).toMatch(message);
    expect(cause.message).not.toContain('artifacts');
  });

  it('is refused without a weight being made when there is no memory for it', async () => {
    const model = { layers: 48, width: 4096, heads: 32 };
    await requestRun(platform, { ...tinySft(data), run: 'huge', model });
    const { cause } = await eventOf('run.failed', 'huge');
    expect(cause).toMatchObject({
      code: 'RUN_MEMORY',
      message: expect.stringMatching(/^model: \{ layers: 48, .*9\.7e\+9 parameters.*RLHF_MEMORY_LIMIT_BYTES/),
    });
  });
});

describe('a run whose models have other tokenizers where that is right', () => {
  it('is rewarded by what its scorer makes of the text', async () => {
    const config = { ...tinyPpo(data, 'run:sft'), run: 'rewarded', scorers: ['run:other-reward'], steps: 1 };
    await complete(config);
    const rewards: DataFor<'reward.scored'>[] = [];
    const texts = new Map<string, string>();
    for await (const { type, data } of platform.events.readAll(['rewards', 'rollouts'])) {
      if (data.run !== config.run) continue;
      if (type === 'reward.scored') rewards.push(data);
      if (type === 'rollout.generated' && data.finishReason === 'stop')
        texts.set(data.rollout, data.promptText + data.text);
    }
    expect(rewards).toHaveLength(config.batchSize!);
    // Over HTTP too a text is scored in the scorer's own tokens, its end among them.
    const whole = rewards.filter(({ rollout }) => texts.has(rollout));
    expect(whole.length).toBeGreaterThan(0);
    const { request } = platform.services.find(({ name }) => name === 'reward')!;
    const response = await request('/v1/scores', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ run: config.run, texts: whole.map(({ rollout }) => texts.get(rollout)) }),
    });
    const { scores } = (await response.json()) as { scores: { score: number }[] };
    expect(scores.map(({ score }) => score)).toEqual(whole.map(({ score }) => score));

    const { models, described, memory } = await eventOf('run.started', config.run);
    expect(memory!.neededBytes).toBeLessThan(memory!.limitBytes);
    const gateway = platform.services.find(({ name }) => name === 'gateway')!;
    expect(await (await gateway.request('/v1/runs/rewarded')).json()).toMatchObject({
      artifacts: { reference: models.reference!.base },
      models: { reference: { ...described!.reference, artifact: models.reference!.base } },
    });
    expect(models.value).toBeUndefined();
    expect(described).toMatchObject({
      policy: { source: 'run:sft', kind: 'language model', vocabSize: 320, contextLength: 32 },
      reference: { source: 'run:sft' },
      'scorer.0': { source: 'run:other-reward', kind: 'reward model', vocabSize: 350 },
    });
  });

  it('trains on comparisons that another policy sampled, in its own tokens', async () => {
    for (const config of [
      { ...tinyReward(), run: 'reward-anew', model: 'run:other' },
      { ...tinyDpo(), run: 'dpo-anew', model: 'run:other' },
    ])
      await complete(config);
    const recorded = new Map<string, DataFor<'comparison.recorded'>>();
    const anew: DataFor<'comparison.recorded'>[] = [];
    for await (const { data } of platform.events.readAll(['comparisons'])) {
      if (data.run === 'comparisons') recorded.set(data.completions.map(({ text }) => text).join('\n'), data);
      if (data.run === 'dpo-anew') anew.push(data);
    }
    expect(anew.length).toBeGreaterThan(0);
    const tokensOf = ({ promptTokens, completions }: DataFor<'comparison.recorded'>) =>
      JSON.stringify([promptTokens, completions.map(({ tokens }) => tokens)]);
    const changed = anew.filter((comparison) => {
      const source = recorded.get(comparison.completions.map(({ text }) => text).join('\n'))!;
      return tokensOf(comparison) !== tokensOf(source);
    });
    expect(changed.length).toBe(anew.length);
  });
});
