/** Which model answers a prompt, and what its rollouts say; models are fakes that say which one they are. */
import type { ArtifactStore } from '@rlhf-streams/artifacts';
import { createEvents, type Events, type NewEvent, topicSpecs } from '@rlhf-streams/bus';
import type { DataFor, NewDataFor } from '@rlhf-streams/events';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { ModelError } from '@rlhf-streams/model';
import { createLogger, defineService, type RunningService, startService } from '@rlhf-streams/service';
import { createModelHost } from '@rlhf-streams/serving';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { PolicyModel } from './models.js';
import { createPolicies } from './policies.js';
import { answerPrompts } from './rollouts.js';

let log: EventLog;
let events: Events;
let service: RunningService;

const ref = (name: string) => ({ uri: name, sha256: Buffer.from(name).toString('hex').padEnd(64, '0') });
const refuse = async () => Promise.reject(new Error('nothing of this is asked for here'));

beforeEach(async () => {
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'test' });
  const definition = defineService({
    name: 'policy',
    settings: z.object({}),
    start: async (context) => {
      const host = createModelHost<PolicyModel>(context, {
        what: 'policy',
        load: async ({ folders: { base: directory } }) => {
          if (directory === 'scorer') throw new ModelError('MODEL_NOT_A_POLICY', 'it scores');
          const generate: PolicyModel['generate'] = async () => ({
            text: directory,
            tokens: [7],
            logprobs: [-0.5],
            finishReason: 'stop',
            sampler: 2,
          });
          return { generate, complete: refuse, judge: refuse, encode: refuse };
        },
      });
      const policies = createPolicies(context, {
        hosts: { versions: host, frozen: host },
        replica: 'mine',
        pauseMs: 1,
      });
      await Promise.all([policies.runs.caughtUp, policies.versions.caughtUp]);
      await answerPrompts(context, policies);
    },
  });
  const artifacts = { fetch: async ({ uri }: { uri: string }) => uri } as unknown as ArtifactStore;
  const logger = createLogger({ level: 'silent' });
  service = await startService(definition, { log, artifacts, environment: {}, port: 0, logger });

  const config = { run: 'r', method: 'sample', steps: 9, model: 'm', prompts: 'd' };
  const models = {
    policy: { base: ref('initial') },
    reference: { base: ref('reference') },
    'scorer.0': { base: ref('scorer') },
  };
  const started = { run: 'r', config, steps: 9, testItems: 0, models, artifacts: {}, from: {} };
  const base = ref('version 2');
  await events.publish([
    { type: 'run.requested', id: 'requested', data: { run: 'r', config } },
    { type: 'run.started', id: 'started', data: started },
    { type: 'policy.published', id: 'v2', data: { run: 'r', version: 2, step: 2, model: { base } } },
  ]);
});
afterEach(async () => {
  await service.stop();
  await events.close();
  await log.close();
});

const prompt = (more: Partial<NewDataFor<'prompt.issued'>> = {}): NewEvent => ({
  type: 'prompt.issued',
  id: 'r/2/0',
  data: {
    run: 'r',
    step: 2,
    prompt: 'r/2/0',
    text: 'Why?',
    tokens: [1],
    samples: 2,
    minPolicyVersion: 1,
    sampling: { temperature: 1, topK: 0, topP: 1, maxNewTokens: 4, stopTokens: [] },
    seed: 1,
    timeoutMs: 20_000,
    ...more,
  },
});

/** What comes of the next two samples. */
async function answers(): Promise<(DataFor<'rollout.generated'> | DataFor<'rollout.failed'>)[]> {
  const came = [];
  for await (const { data } of events.follow({ topics: ['rollouts'] }))
    if (came.push(data) === 2) return came;
  throw new Error('expected two rollouts');
}

describe('a prompt', () => {
  it("is answered by the run's newest version, and its rollouts repeat what it says of itself", async () => {
    const asked = { messages: [{ role: 'user', content: 'Why?' }], metadata: { source: { row: 4 } } };
    await events.publish([prompt(asked)]);
    const rollout = { text: 'version 2', policyVersion: 2, role: 'policy', promptText: 'Why?', ...asked };
    expect(await answers()).toMatchObject([
      { ...rollout, rollout: 'r/2/0/0' },
      { ...rollout, rollout: 'r/2/0/1' },
    ]);
  });

  it('is answered by another model of the run that it names, as of the version that it asks for', async () => {
    await events.publish([prompt({ role: 'reference' })]);
    const rollout = { text: 'reference', policyVersion: 1, role: 'reference' };
    expect(await answers()).toMatchObject([rollout, rollout]);
  });

  it.each([
    ['does not have', 'toString', 'POLICY_ROLE_UNKNOWN', /policy, reference, scorer\.0; got toString/],
    ['has for something else', 'scorer.0', 'MODEL_NOT_A_POLICY', /it scores/],
  ])('fails that names a role which its run %s', async (_, role, code, message) => {
    await events.publish([prompt({ role })]);
    const failure = { cause: { code, message: expect.stringMatching(message) } };
    expect(await answers()).toMatchObject([failure, failure]);
  });
});
