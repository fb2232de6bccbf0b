/** Log-probs of what a run samples or compares, under its reference. */
import type { Projection, Received } from '@rlhf-streams/bus';
import { artifactRoles, type RunView, specOf } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { answerEvents } from '@rlhf-streams/serving';
import type { Reference, References } from './references.js';

type Subject = Extract<
  Received<'rollouts' | 'comparisons' | 'thumbs'>,
  { type: 'rollout.generated' | 'comparison.recorded' | 'thumb.recorded' }
>;

/** Gives rollouts, comparisons and thumbs their log-probs under the reference, in runs that have one. */
export const scoreUnderReference = (
  context: ServiceContext,
  runs: Projection<RunView>,
  references: References,
): Promise<void> =>
  answerEvents(
    context,
    runs,
    {
      topics: ['rollouts', 'comparisons', 'thumbs'],
      onlyTypes: ['rollout.generated', 'comparison.recorded', 'thumb.recorded'],
    },
    {
      async answer(run, subject) {
        const model = run.models?.[artifactRoles.reference];
        if (!model || !isJoined(run, subject)) return undefined;
        const logprobs = await references.use(model, (reference) => logprobsOf(reference, subject));
        return { type: 'reference.scored', ...stamped(subject, { logprobs, reference: model }) };
      },
      failed: (subject, cause) => ({ type: 'reference.failed', ...stamped(subject, { cause }) }),
    },
  );

/** Whether the run's method joins log-probs with such items. */
function isJoined({ config }: RunView, { topic }: Subject): boolean {
  const { joins } = specOf(config!);
  return joins[0] === topic && joins.includes('reference-logprobs');
}

function stamped<Said>(subject: Subject, said: Said) {
  const { run, step } = subject.data;
  const id = idOf(subject);
  const version = subject.type === 'rollout.generated' && { policyVersion: subject.data.policyVersion };
  return { id, data: { run, step, subject: id, ...version, ...said } };
}

function idOf({ type, data }: Subject): string {
  if (type === 'rollout.generated') return data.rollout;
  return type === 'comparison.recorded' ? data.comparison : data.thumb;
}

/** A row for each completion, with a number for each of its tokens. */
async function logprobsOf(reference: Reference, { type, data }: Subject): Promise<number[][]> {
  if (type === 'rollout.generated') {
    const { promptTokens, tokens, temperature } = data;
    // What was sampled greedily is judged as it was: at temperature 1.
    return [await completionLogprobs(reference, promptTokens, tokens, temperature || 1)];
  }
  const completions =
    type === 'comparison.recorded'
      ? data.completions.map(({ tokens }) => tokens)
      : [data.tokens, data.mismatched];
  return Promise.all(
    completions.map((tokens) => completionLogprobs(reference, data.promptTokens, tokens, 1)),
  );
}

async function completionLogprobs(
  reference: Reference,
  promptTokens: readonly number[],
  tokens: readonly number[],
  temperature: number,
): Promise<number[]> {
  const row = await reference.score({ tokens: [...promptTokens, ...tokens], temperature });
  // The first token of a text without a prompt has no log-prob.
  return Array.from(row.subarray(Math.max(0, promptTokens.length - 1)), (x) =>
    Number(Math.min(0, x).toPrecision(9)),
  );
}
