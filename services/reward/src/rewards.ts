/** Rewards: what the scorers of a run say of its rollouts. */
import type { NewEvent, Projection } from '@rlhf-streams/bus';
import type { Cause, DataFor } from '@rlhf-streams/events';
import { type RunView, scorersOf } from '@rlhf-streams/runs';
import { ScorerError } from '@rlhf-streams/scorers';
import type { ServiceContext } from '@rlhf-streams/service';
import { answerEvents } from '@rlhf-streams/serving';
import { type PolicyTokenizers, tokensFor } from './rollout-tokens.js';
import { type Scorers, scoreBy } from './scorers.js';

type Rollout = DataFor<'rollout.generated'>;

/** Milliseconds that a rollout may wait for its turn: each request to a scorer has a limit of its own, and many may come before it. */
const PATIENCE_MS = 24 * 60 * 60 * 1000;

/** Scores every rollout of runs that name scorers. */
export const scoreRollouts = (
  context: ServiceContext,
  runs: Projection<RunView>,
  scorers: Scorers,
  policyTokenizers: PolicyTokenizers,
): Promise<void> =>
  answerEvents(
    context,
    runs,
    { topics: ['rollouts'], onlyTypes: ['rollout.generated'] },
    {
      async answer(run, { data: rollout }) {
        if (scorersOf(run.config!).length === 0) return undefined;
        const { promptText: prompt, text: completion, tokens, messages, metadata } = rollout;
        try {
          const reward = await scoreBy(scorers, run, {
            text: prompt + completion,
            tokens: (own) =>
              policyTokenizers.of(run, async (policyTokenizer) => tokensFor(own, policyTokenizer, rollout)),
            item: async () => ({
              prompt,
              completion,
              tokens,
              ...(messages && { messages }),
              ...(metadata && { metadata }),
            }),
          });
          return { type: 'reward.scored', ...stamped(rollout, reward) };
        } catch (error) {
          if (!(error instanceof ScorerError) || error.unavailable) throw error;
          return failed(rollout, { code: error.code, message: error.message });
        }
      },
      failed: ({ data }, cause) => failed(data, cause),
      timeoutMs: PATIENCE_MS,
    },
  );

const failed = (rollout: Rollout, cause: Cause): NewEvent => ({
  type: 'reward.failed',
  ...stamped(rollout, { cause }),
});

const stamped = <Said>({ run, step, prompt, rollout, policyVersion }: Rollout, said: Said) => ({
  id: rollout,
  data: { run, step, prompt, rollout, policyVersion, ...said },
});
