import { createEvents, type Events, type NewEvent, topicSpecs } from '@rlhf-streams/bus';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { EVALUATED, type Evaluated, evaluationOf } from '@rlhf-streams/sentiment';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readResults } from './results.js';

const reference = { base: { uri: 'artifact:r', sha256: 'a'.repeat(64) } };
/** Prompts that every policy completed; SFT failed on prompt 0, PPO on the last one. */
const PAIRED = [1, 2, 3, 4];
/** Gold rewards by prompt: of the paired ones PPO wins three of four, and DPO ties. */
const gold: Record<Evaluated, readonly number[]> = {
  sft: [9, 0, 1, 2, 3, 9],
  ppo: [9, 1, 2, 3, 2, 9],
  dpo: [9, 0, 1, 2, 3, 9],
};

/** The three events of a rollout. */
function episode(policy: Evaluated, index: number, text = `${policy} ${index}`): NewEvent[] {
  const run = evaluationOf(policy);
  const prompt = `${run}/0/${index}`;
  const rollout = `${prompt}/0`;
  const stamp = { run, step: 0, prompt, rollout };
  const said = { promptText: `prompt ${index}`, promptTokens: [1], text, tokens: [1, 2], logprobs: [-1, -1] };
  const score = gold[policy][index]!;
  return [
    {
      type: 'rollout.generated',
      id: rollout,
      data: { ...stamp, ...said, policyVersion: 0, finishReason: 'stop', temperature: 1 },
    },
    {
      type: 'reward.scored',
      id: rollout,
      data: { ...stamp, policyVersion: 0, score: 10 * score, parts: { gold: score } },
    },
    {
      type: 'reference.scored',
      id: rollout,
      data: { run, step: 0, subject: rollout, policyVersion: 0, logprobs: [[-1.5, -1.25]], reference },
    },
  ];
}

const completed = (run: string, step: number, metrics: Record<string, number>): NewEvent => ({
  type: 'step.completed',
  id: `${run}/${step}`,
  data: { run, step, policyVersion: step + 1, split: 'train', metrics },
});

let log: EventLog;
let events: Events;
/** No run is archived here. */
const artifacts = { fetch: () => Promise.reject(new Error('nothing is archived')) };
beforeEach(async () => {
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'test' });
  for (const policy of EVALUATED) {
    const run = evaluationOf(policy);
    await events.publish([{ type: 'run.requested', id: `${run}/requested`, data: { run, config: {} } }]);
    // Services work in parallel, so prompts come to the log in any order.
    await events.publish(PAIRED.toReversed().flatMap((index) => episode(policy, index).toReversed()));
    await events.publish(episode(policy, 1, 'done twice'));
  }
});
afterEach(async () => {
  await events.close();
  await log.close();
});

describe('readResults', () => {
  it('summarises every policy on the same prompts', async () => {
    const { policies } = await readResults({ events, artifacts });
    expect(policies.map(({ name }) => name)).toEqual(['SFT', 'PPO', 'DPO']);
    const [sft, ppo, dpo] = policies;
    expect(sft).toMatchObject({
      gold: { mean: 1.5, n: 4 },
      score: { mean: 15 },
      length: { mean: 2 },
      kl: { mean: 0.75 },
    });
    expect(sft).not.toHaveProperty('winRate');
    expect(ppo).toMatchObject({
      goldScores: [1, 2, 3, 2],
      winRate: { mean: 0.75, n: 4 },
    });
    expect(dpo).toMatchObject({ winRate: { mean: 0.5 } });
  });

  it('compares policies prompt by prompt, and only where each has a completion', async () => {
    const more = [...episode('ppo', 0, 'unpaired'), ...episode('sft', 5, 'unpaired')];
    await events.publish(more);
    const { policies, samples } = await readResults({ events, artifacts });
    expect(policies[1]).toMatchObject({ gold: { n: 5 }, winRate: { mean: 0.75, n: 4 } });
    expect(JSON.stringify(samples)).not.toContain('unpaired');
  });

  it('shows completions of the first prompts side by side, as first sampled', async () => {
    const { samples } = await readResults({ events, artifacts });
    expect(samples).toHaveLength(3);
    expect(samples[1]).toEqual({
      prompt: 'prompt 2',
      completions: [
        { policy: 'SFT', text: 'sft 2', gold: 1 },
        { policy: 'PPO', text: 'ppo 2', gold: 2 },
        { policy: 'DPO', text: 'dpo 2', gold: 1 },
      ],
    });
    expect(samples[0]!.completions[0]!.text).toBe('sft 1');
  });

  it('gives metrics as series by run, each step once, in order', async () => {
    await events.publish([
      completed('ppo', 1, { score: 2, kl: 1 }),
      completed('ppo', 0, { score: 1 }),
      completed('ppo', 1, { score: 99 }),
      completed('dpo', 0, { loss: 3 }),
    ]);
    const { metrics } = await readResults({ events, artifacts });
    expect(Object.fromEntries(metrics)).toEqual({
      ppo: [
        { name: 'score', steps: [0, 1], values: [1, 2] },
        { name: 'kl', steps: [1], values: [1] },
      ],
      dpo: [{ name: 'loss', steps: [0], values: [3] }],
    });
  });
});
