import { isUnavailable, type NewEvent } from '@rlhf-streams/bus';
import { type Cause, type DataFor, rolloutId } from '@rlhf-streams/events';
import { isModelError } from '@rlhf-streams/model/errors';
import { artifactRoles, hasEnded, type RunView, startedRun } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { retry } from '@rlhf-streams/waiting';
import type { PolicyModel } from './models.js';
import type { Policies } from './policies.js';

type Prompt = DataFor<'prompt.issued'>;

/** After this many failed attempts to apply a version, the prompts are left to replicas that have a newer one. */
const MOST_FAILURES = 2;

/**
 * Answers every prompt with its samples, under the newest policy of its run or another of its models. A prompt whose version
 * cannot be applied waits, and is delivered again; while another replica has come further, this one leaves the prompts to it.
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
  const { run, step, role } = prompt;
  const view = await startedRun({ runs: policies.runs, events }, prompt, signal);
  if (hasEnded(view)) return;
  // The version after the prompt's step exists only once the optimizer has used the rollouts of that step.
  const isDone = (version: number) => version > step;
  const rollouts = isDone(policies.versions.state.get(run)?.version ?? 0)
    ? undefined
    : role === artifactRoles.policy
      ? await sampleNewest(policies, prompt, isDone, signal)
      : await sampleFixed(policies, prompt, view);
  if (!rollouts) return logger.debug({ prompt: prompt.prompt }, 'step is done: prompt skipped');
  await events.publish(rollouts);
}

const sampleNewest = (
  policies: Policies,
  prompt: Prompt,
  isDone: (version: number) => boolean,
  signal: AbortSignal,
): Promise<NewEvent[] | undefined> => {
  const { run, minPolicyVersion, timeoutMs } = prompt;
  return policies.use(run, minPolicyVersion, { timeoutMs, signal }, async (policy) =>
    isDone(policy.version) ? undefined : sampleAll(policy, prompt, policy.version),
  );
};

/**
 * Samples from another model than the run's policy, by its role in `run.started`. Such a model has no versions: its
 * rollouts carry the one that the prompt asks for, so that every replica gives them alike.
 */
async function sampleFixed(policies: Policies, prompt: Prompt, view: RunView): Promise<NewEvent[]> {
  const { role, minPolicyVersion } = prompt;
  const { models = {} } = view;
  const model = Object.hasOwn(models, role) ? models[role]! : undefined;
  if (!model) {
    const known = Object.keys(models).join(', ');
    const message = `expected role to be one of the models of run ${view.run}, ${known}; got ${role}`;
    return failAll(prompt, { code: 'POLICY_ROLE_UNKNOWN', message });
  }
  return policies
    .useFixed(model, (policy) => sampleAll(policy, prompt, minPolicyVersion))
    .catch((error) => {
      if (!isModelError(error)) throw error;
      return failAll(prompt, { code: error.code, message: error.message });
    });
}

const samplesOf = ({ samples }: Prompt): number[] => Array.from({ length: samples }, (_, sample) => sample);

const sampleAll = (policy: PolicyModel, prompt: Prompt, version: number): Promise<NewEvent[]> =>
  Promise.all(samplesOf(prompt).map((sample) => sampleOne(policy, prompt, sample, version)));

const failAll = (prompt: Prompt, cause: Cause): NewEvent[] =>
  samplesOf(prompt).map((sample) => failed(stampOf(prompt, sample, prompt.minPolicyVersion), cause));

const stampOf = ({ run, step, prompt }: Prompt, sample: number, policyVersion: number) => ({
  run,
  step,
  prompt,
  rollout: rolloutId(prompt, sample),
  policyVersion,
});

const failed = (stamp: ReturnType<typeof stampOf>, cause: Cause): NewEvent => ({
  type: 'rollout.failed',
  id: stamp.rollout,
  data: { ...stamp, cause },
});

async function sampleOne(
  policy: PolicyModel,
  prompt: Prompt,
  sample: number,
  version: number,
): Promise<NewEvent> {
  const stamp = stampOf(prompt, sample, version);
  const { role, messages, tools, metadata, completion } = prompt;
  try {
    const { text, tokens, logprobs, finishReason, sampler } = await policy.generate({
      promptTokens: prompt.tokens,
      sampling: prompt.sampling,
      seed: prompt.seed,
      draws: stamp.rollout,
      timeoutMs: prompt.timeoutMs,
      ...(completion && { given: completion.tokens }),
    });
    return {
      type: 'rollout.generated',
      id: stamp.rollout,
      data: {
        ...stamp,
        role,
        promptText: prompt.text,
        ...(messages && { messages }),
        ...(tools && { tools }),
        promptTokens: prompt.tokens,
        ...(metadata && { metadata }),
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
    return failed(stamp, { code: error.code, message: error.message });
  }
}

/** Nine digits are the fewest that give every float32 back. */
const toFloat32Text = (x: number): number => Number(Math.min(0, x).toPrecision(9));
