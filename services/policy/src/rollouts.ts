import { type DataFor, rolloutId } from '@rlhf-streams/events';
import { isModelError } from '@rlhf-streams/model/errors';
import type { NewEvent, ServiceContext } from '@rlhf-streams/runtime';
import type { LoadedPolicy, Policies } from './policies.js';

type Prompt = DataFor<'prompt.issued'>;

/** Answers every prompt with its samples, under the newest policy of its run. */
export async function answerPrompts(
  { events, logger, onStop }: ServiceContext,
  policies: Policies,
): Promise<void> {
  const consumer = await events.consume({
    group: 'policy',
    topics: ['prompts'],
    async handle({ data: prompt }, { signal }) {
      const policy = await policies.newest(prompt.run, prompt.minPolicyVersion, prompt.timeoutMs, signal);
      // A version after the prompt's step exists only when that step is done: its rollouts were used.
      if (policy.version > prompt.step)
        return logger.debug({ prompt: prompt.prompt }, 'step is done: prompt skipped');
      const samples = Array.from({ length: prompt.samples }, (_, sample) =>
        sampleOne(policy, prompt, sample),
      );
      await events.publish(await Promise.all(samples));
    },
  });
  onStop(() => consumer.close(), 'consumer of prompts');
}

async function sampleOne(policy: LoadedPolicy, prompt: Prompt, sample: number): Promise<NewEvent> {
  const rollout = rolloutId(prompt.prompt, sample);
  const stamp = { run: prompt.run, step: prompt.step, prompt: prompt.prompt, rollout };
  try {
    const { text, tokens, logprobs, finishReason } = await policy.generate({
      promptTokens: prompt.tokens,
      sampling: prompt.sampling,
      seed: prompt.seed,
      draws: rollout,
      timeoutMs: prompt.timeoutMs,
    });
    return {
      type: 'rollout.generated',
      id: rollout,
      data: {
        ...stamp,
        promptText: prompt.text,
        promptTokens: prompt.tokens,
        text,
        tokens: [...tokens],
        logprobs: logprobs.map(toFloat32Text),
        policyVersion: policy.version,
        finishReason,
        temperature: prompt.sampling.temperature,
      },
    };
  } catch (error) {
    if (!isModelError(error)) throw error;
    return {
      type: 'rollout.failed',
      id: rollout,
      data: { ...stamp, cause: { code: error.code, message: error.message } },
    };
  }
}

/** The fewest digits that give the same float32 back: nine. */
const toFloat32Text = (x: number): number => Number(Math.min(0, x).toPrecision(9));
