import type { NewEvent, Projection } from '@rlhf-streams/bus';
import type { DataFor } from '@rlhf-streams/events';
import { isModelError } from '@rlhf-streams/model/errors';
import { hasEnded, type RunView, scorersOf, startedRun } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { type PolicyTokenizers, tokensFor } from './rollout-tokens.js';
import { type Scored, type Scorers, scoreBy } from './scorers.js';

/** Scores every rollout of runs that name scorers. */
export async function scoreRollouts(
  context: ServiceContext,
  runs: Projection<RunView>,
  scorers: Scorers,
  policyTokenizer: PolicyTokenizers,
): Promise<void> {
  const { events, onStop } = context;
  const consumer = await events.consume({
    group: 'reward',
    topics: ['rollouts'],
    onlyTypes: ['rollout.generated'],
    async handle({ data: rollout }, { signal }) {
      const run = await startedRun(runs, rollout.run, signal);
      if (hasEnded(run) || scorersOf(run.config!).length === 0) return;
      await events.publish([await scored(run, rollout, scorers, policyTokenizer)]);
    },
  });
  onStop(() => consumer.close(), 'consumer of rollouts');
}

async function scored(
  run: RunView,
  rollout: DataFor<'rollout.generated'>,
  scorers: Scorers,
  policyTokenizer: PolicyTokenizers,
): Promise<NewEvent> {
  const { run: id, step, prompt, rollout: rolloutId, policyVersion } = rollout;
  const stamp = { run: id, step, prompt, rollout: rolloutId };
  const failed = (code: string, message: string): NewEvent => ({
    type: 'reward.failed',
    id: rolloutId,
    data: { ...stamp, policyVersion, cause: { code, message } },
  });
  try {
    const subject: Scored = {
      text: rollout.promptText + rollout.text,
      tokens: async (own) => tokensFor(own, await policyTokenizer(run), rollout),
    };
    const { score, parts } = await scoreBy(scorers, run, subject);
    const notFinite = Object.entries(parts).find(([, score]) => !Number.isFinite(score));
    if (notFinite)
      return failed(
        'REWARD_NOT_FINITE',
        `expected ${notFinite[0]} to give a finite score, got ${notFinite[1]}`,
      );
    return { type: 'reward.scored', id: rolloutId, data: { ...stamp, policyVersion, score, parts } };
  } catch (error) {
    if (!isModelError(error)) throw error;
    return failed(error.code, error.message);
  }
}
