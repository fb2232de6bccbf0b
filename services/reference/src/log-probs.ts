import type { NewEvent, Projection, Received } from '@rlhf-streams/bus';
import type { ArtifactRef } from '@rlhf-streams/events';
import { isModelError } from '@rlhf-streams/model/errors';
import { artifactRoles, hasEnded, type RunView, specOf, startedRun } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import type { Reference, References } from './references.js';

type Subject = Extract<
  Received<'rollouts' | 'comparisons'>,
  { type: 'rollout.generated' | 'comparison.recorded' }
>;

/** Gives rollouts and comparisons their log-probs under the reference, in runs that have one. */
export async function scoreUnderReference(
  context: ServiceContext,
  runs: Projection<RunView>,
  references: References,
): Promise<void> {
  const { events, onStop } = context;
  const consumer = await events.consume({
    group: 'reference',
    topics: ['rollouts', 'comparisons'],
    onlyTypes: ['rollout.generated', 'comparison.recorded'],
    async handle(subject, { signal }) {
      const run = await startedRun(runs, subject.data.run, signal);
      const artifact = run.artifacts?.[artifactRoles.reference];
      if (hasEnded(run) || !artifact || !isJoined(run, subject)) return;
      await events.publish([await scored(references, artifact, subject)]);
    },
  });
  onStop(() => consumer.close(), 'consumer of rollouts and comparisons');
}

async function scored(references: References, artifact: ArtifactRef, subject: Subject): Promise<NewEvent> {
  const rollout = subject.type === 'rollout.generated' ? subject.data : undefined;
  const id = subject.type === 'rollout.generated' ? subject.data.rollout : subject.data.comparison;
  const { run, step } = subject.data;
  const stamp = { run, step, subject: id, ...(rollout && { policyVersion: rollout.policyVersion }) };
  try {
    const logprobs = await references.use(artifact, (reference) => logprobsOf(reference, subject));
    return { type: 'reference.scored', id, data: { ...stamp, logprobs, reference: artifact } };
  } catch (error) {
    if (!isModelError(error)) throw error;
    return {
      type: 'reference.failed',
      id,
      data: { ...stamp, cause: { code: error.code, message: error.message } },
    };
  }
}

/** Whether the run's method joins log-probs with such items. */
function isJoined({ config }: RunView, { topic }: Subject): boolean {
  const { joins } = specOf(config!);
  return joins[0] === topic && joins.includes('reference-logprobs');
}

async function logprobsOf(reference: Reference, subject: Subject): Promise<number[][]> {
  if (subject.type === 'rollout.generated') {
    const { promptTokens, tokens, temperature } = subject.data;
    return [await completionLogprobs(reference, promptTokens, tokens, temperature || 1)];
  }
  const { promptTokens, completions } = subject.data;
  return Promise.all(completions.map(({ tokens }) => completionLogprobs(reference, promptTokens, tokens, 1)));
}

async function completionLogprobs(
  reference: Reference,
  promptTokens: readonly number[],
  tokens: readonly number[],
  temperature: number,
): Promise<number[]> {
  const row = await reference.logprobs([...promptTokens, ...tokens], temperature);
  // The first token of a text without a prompt has no log-prob.
  return Array.from(row.subarray(Math.max(0, promptTokens.length - 1)), (x) =>
    Number(Math.min(0, x).toPrecision(9)),
  );
}
