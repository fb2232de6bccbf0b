import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataFor } from '@rlhf-streams/events';
import { followRun, type Platform, requestRun, type ServiceName, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { oneThread, tinyComparisons, tinyPpo, tinyReward, tinySft, writeReviews } from './tiny-runs.js';

let folder: string;
let platform: Platform;
/** What was sampled, scored and judged in step 0 of the PPO run, by rollout. */
const episodes: {
  readonly rollout: DataFor<'rollout.generated'>;
  readonly reward: DataFor<'reward.scored'>;
  readonly reference: DataFor<'reference.scored'>;
}[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platform-'));
  const data = await writeReviews(folder);
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'error',
    environment: oneThread,
  });
  const ppo = { ...tinyPpo(data, 'run:sft'), scorers: ['run:reward', `gold:${data}`], steps: 2 };
  for (const config of [{ ...tinySft(data), steps: 80 }, tinyComparisons(data), tinyReward(), ppo]) {
    await requestRun(platform, config);
    await followRun(platform, config.run, {});
  }
  const rollouts: DataFor<'rollout.generated'>[] = [];
  const rewards = new Map<string, DataFor<'reward.scored'>>();
  const references = new Map<string, DataFor<'reference.scored'>>();
  for await (const { type, data } of platform.events.readAll(['rollouts', 'rewards', 'reference-logprobs'])) {
    if (type === 'rollout.generated' && data.run === 'ppo' && data.step === 0) rollouts.push(data);
    else if (type === 'reward.scored') rewards.set(data.rollout, data);
    else if (type === 'reference.scored') references.set(data.subject, data);
  }
  for (const rollout of rollouts) {
    const [reward, reference] = [rewards.get(rollout.rollout)!, references.get(rollout.rollout)!];
    episodes.push({ rollout, reward, reference });
  }
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

interface Answer<Body> {
  readonly status: number;
  readonly body: Body;
}

/** Without a socket, so that requests made together are computed together. */
async function post<Body>(service: ServiceName, path: string, request: unknown): Promise<Answer<Body>> {
  const { request: send } = platform.services.find(({ name }) => name === service)!;
  const response = await send(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  return { status: response.status, body: (await response.json()) as Body };
}

async function expectProblem(
  service: ServiceName,
  path: string,
  request: unknown,
  status: number,
  code: string,
  detail = '',
) {
  expect(await post(service, path, request)).toMatchObject({
    status,
    body: { status, code, detail: expect.stringContaining(detail) },
  });
}

const long = 'a wonderful film '.repeat(20);

interface Completions {
  readonly policy_version: number;
  readonly choices: readonly { readonly text: string; readonly finish_reason: string }[];
  readonly usage: Readonly<Record<'prompt_tokens' | 'completion_tokens' | 'total_tokens', number>>;
}

describe('POST /v1/completions of the policy service', () => {
  const complete = async (request: object) => {
    const { status, body } = await post<Completions>('policy', '/v1/completions', request);
    expect(status).toBe(200);
    return body;
  };

  it('samples from the newest policy, alike for a seed whatever else is asked for', async () => {
    const request = { model: 'ppo', prompt: 'The film was', max_tokens: 8, n: 2, seed: 5 };
    const alone = await complete(request);
    expect(alone.policy_version).toBe(2);
    expect(alone.choices).toHaveLength(2);
    expect(alone.usage.total_tokens).toBe(alone.usage.prompt_tokens + alone.usage.completion_tokens);

    const others = [1, 2, 3, 5, 5].map((seed) => complete({ ...request, seed }));
    const again = (await Promise.all(others)).slice(-2);
    for (const { choices } of again) expect(choices).toEqual(alone.choices);
    const texts = new Set(
      (await Promise.all(others)).flatMap(({ choices }) => choices.map(({ text }) => text)),
    );
    expect(texts.size).toBeGreaterThan(2);
  });

  it('is greedy at temperature 0, whatever the seed', async () => {
    const request = { model: 'sft', prompt: 'The film was', temperature: 0 };
    const [a, b] = [await complete({ ...request, seed: 1 }), await complete({ ...request, seed: 2 })];
    expect(a.choices).toEqual(b.choices);
  });

  it('refuses what it cannot complete', async () => {
    const path = '/v1/completions';
    await expectProblem('policy', path, { model: 'nobody', prompt: 'x' }, 404, 'MODEL_NOT_FOUND');
    await expectProblem('policy', path, { model: 'ppo', prompt: 'x', n: 0 }, 400, 'INVALID_REQUEST');
    await expectProblem('policy', path, { model: 'ppo', prompt: long }, 400, 'CONTEXT_LENGTH_EXCEEDED');
    await expectProblem('policy', path, { model: 'reward', prompt: 'x' }, 400, 'MODEL_NOT_A_POLICY');
  });
});

interface Scores {
  readonly scores: readonly { readonly score: number; readonly parts: Readonly<Record<string, number>> }[];
}

describe('POST /v1/scores of the reward service', () => {
  it('scores texts as rollouts were scored', async () => {
    const texts = episodes.map(({ rollout }) => rollout.promptText + rollout.text);
    const { status, body } = await post<Scores>('reward', '/v1/scores', { run: 'ppo', texts });
    expect(status).toBe(200);
    const parts = body.scores.map(({ parts }) => parts);
    expect(parts.map(({ gold }) => gold)).toEqual(episodes.map(({ reward }) => reward.parts.gold));
    expect(body.scores.map(({ score }) => score)).toEqual(parts.map(({ reward }) => reward));
  });

  it('refuses what it cannot score, and answers what was asked at the same time', async () => {
    const path = '/v1/scores';
    const request = { run: 'ppo', texts: ['The film was fine.'] };
    const alone = await post<Scores>('reward', path, request);
    const [, beside] = await Promise.all([
      expectProblem(
        'reward',
        path,
        { run: 'ppo', texts: ['x', long] },
        400,
        'MODEL_SEQUENCE_LENGTH',
        'texts[1]',
      ),
      post<Scores>('reward', path, request),
    ]);
    expect(beside).toEqual(alone);
    await expectProblem('reward', path, { run: 'nobody', texts: ['x'] }, 404, 'SCORERS_NOT_FOUND');
    await expectProblem('reward', path, { run: 'sft', texts: ['x'] }, 404, 'SCORERS_NOT_FOUND');
    await expectProblem('reward', path, { run: 'ppo', texts: [] }, 400, 'INVALID_REQUEST');
  });
});

interface Logprobs {
  readonly results: readonly { tokens: readonly number[]; logprobs: readonly number[]; sum: number }[];
}

describe('POST /v1/logprobs of the reference service', () => {
  it('gives texts the log-probs their rollouts were given, which on version 0 are those they were sampled with', async () => {
    const texts = episodes.map(({ rollout }) => rollout.promptText + rollout.text);
    const { status, body } = await post<Logprobs>('reference', '/v1/logprobs', { run: 'ppo', texts });
    expect(status).toBe(200);
    let compared = 0;
    body.results.forEach(({ tokens, logprobs, sum }, i) => {
      expect(sum).toBeCloseTo(
        logprobs.reduce((a, b) => a + b, 0),
        6,
      );
      const { rollout, reference } = episodes[i]!;
      const sampled = rollout.tokens.slice(0, rollout.finishReason === 'stop' ? -1 : undefined);
      // What was sampled need not be how the tokenizer writes the text.
      if (sampled.length === 0 || `${tokens}` !== `${[...rollout.promptTokens.slice(1), ...sampled]}`) return;
      compared++;
      logprobs.slice(-sampled.length).forEach((logprob, t) => {
        expect(logprob).toBeCloseTo(reference.logprobs[0]![t]!, 6);
        expect(logprob).toBeCloseTo(rollout.logprobs[t]!, 4);
      });
    });
    expect(compared).toBeGreaterThan(0);
  });

  it('refuses what it cannot judge, and answers what was asked at the same time', async () => {
    const path = '/v1/logprobs';
    const request = { run: 'ppo', texts: ['The film was fine.'] };
    const alone = await post<Logprobs>('reference', path, request);
    const [, beside] = await Promise.all([
      expectProblem(
        'reference',
        path,
        { run: 'ppo', texts: ['x', long] },
        400,
        'MODEL_SEQUENCE_LENGTH',
        'texts[1]',
      ),
      post<Logprobs>('reference', path, request),
    ]);
    expect(beside).toEqual(alone);
    await expectProblem('reference', path, { run: 'nobody', texts: ['x'] }, 404, 'REFERENCE_NOT_FOUND');
    await expectProblem('reference', path, { run: 'sft', texts: ['x'] }, 404, 'REFERENCE_NOT_FOUND');
    await expectProblem('reference', path, { run: 'ppo', texts: [''] }, 400, 'INVALID_REQUEST');
  });
});
