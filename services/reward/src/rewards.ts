/** Rewards: what the scorers of a run say of its rollouts. */
import type { NewEvent, Projection } from '@rlhf-streams/bus';
import type { Cause, DataFor } from '@rlhf-streams/events';
import { type RunView, scorersOf } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { answerEvents } from '@rlhf-streams/serving';
import { type PolicyTokenizers, tokensFor } from './rollout-tokens.js';
import { type Scored, type Scorers, scoreBy } from './scorers.js';

type Rollout = DataFor<'rollout.generated'>;

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
        const subject: Scored = {
          text: rollout.promptText + rollout.text,
          tokens: (own) =>
            policyTokenizers.of(run, async (policyTokenizer) => tokensFor(own, policyTokenizer, rollout)),
        };
        const { score, parts } = await scoreBy(scorers, run, subject);
        const notFinite = Object.entries(parts).find(([, part]) => !Number.isFinite(part));
        if (!notFinite) return { type: 'reward.scored', ...stamped(rollout, { score, parts }) };
        const [name, part] = notFinite;
        const message = `expected ${name} to give a finite score, got ${part}`;
        return failed(rollout, { code: 'REWARD_NOT_FINITE', message });
      },
      failed: ({ data }, cause) => failed(data, cause),
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
