import { isUnavailable, type NewEvent } from '@rlhf-streams/bus';
import { type DataFor, rolloutId } from '@rlhf-streams/events';
import { isModelError } from '@rlhf-streams/model/errors';
import { hasEnded, startedRun } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { retry } from '@rlhf-streams/waiting';
import type { LoadedPolicy } from './follower.js';
import type { Policies } from './policies.js';

type Prompt = DataFor<'prompt.issued'>;

/** After this many failed attempts to apply a version, the prompts are left to replicas that have a newer one. */
const MOST_FAILURES = 2;

/**
 * Answers every prompt with its samples, under the newest policy of its run. A prompt whose version cannot be applied
 * waits, and is delivered again; while another replica has come further, this one leaves the prompts to it.
 */
export async function answerPrompts(context: ServiceContext, policies: Policies): Promise<void> {
  const { events, logger, onStop, signal: stopping, fail } = context;
  const join = () =>
    events.consume({
      group: 'policy',
      topics: ['prompts'],
      handle: ({ data }, { signal }) => answer(context, policies, data, signal),
    });
  let consumer = await join();
  onStop(() => consumer.close(), 'consumer of prompts');

  const takeTurns = async () => {
    while (!stopping.aborted) {
      await policies.outrun(MOST_FAILURES, stopping);
      logger.warn({ troubles: policies.troubles() }, 'behind: leaves the prompts to other replicas');
      await consumer.close();
      await policies.recovered(stopping);
      logger.info({ group: 'policy' }, 'caught up: takes prompts again');
      consumer = await retry(join, { shouldRetry: isUnavailable, signal: stopping });
    }
  };
  takeTurns().catch((error) => {
    if (!stopping.aborted) fail(error);
  });
}

async function answer(
  { events, logger }: Pick<ServiceContext, 'events' | 'logger'>,
  policies: Policies,
  prompt: Prompt,
  signal: AbortSignal,
): Promise<void> {
  const { run, step, minPolicyVersion, timeoutMs } = prompt;
  if (hasEnded(await startedRun(policies.runs, run, signal))) return;
  // The version after the prompt's step exists only once the optimizer has used the rollouts of that step.
  const isDone = (version: number) => version > step;
  const rollouts = isDone(policies.versions.state.get(run)?.version ?? 0)
    ? undefined
    : await policies.use(run, minPolicyVersion, { timeoutMs, signal }, async (policy) => {
        if (isDone(policy.version)) return undefined;
        const samples = Array.from({ length: prompt.samples }, (_, sample) =>
          sampleOne(policy, prompt, sample),
        );
        return Promise.all(samples);
      });
  if (!rollouts) return logger.debug({ prompt: prompt.prompt }, 'step is done: prompt skipped');
  await events.publish(rollouts);
}

async function sampleOne(policy: LoadedPolicy, prompt: Prompt, sample: number): Promise<NewEvent> {
  const rollout = rolloutId(prompt.prompt, sample);
  const { run, step } = prompt;
  const stamp = { run, step, prompt: prompt.prompt, rollout, policyVersion: policy.version };
  try {
    const { text, tokens, logprobs, finishReason, sampler } = await policy.generate({
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
        finishReason,
        temperature: prompt.sampling.temperature,
        sampler,
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

/** Nine digits are the fewest that give every float32 back. */
const toFloat32Text = (x: number): number => Number(Math.min(0, x).toPrecision(9));
