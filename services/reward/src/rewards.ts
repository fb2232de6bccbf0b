/** Rewards: what the scorers of a run say of its rollouts. */
import type { NewEvent, Projection } from '@rlhf-streams/bus';
import type { Cause, DataFor } from '@rlhf-streams/events';
import { declaredScorers, hasEnded, type RunView, scorersOf } from '@rlhf-streams/runs';
import { ScorerError } from '@rlhf-streams/scorers';
import type { ServiceContext } from '@rlhf-streams/service';
import { answerEvents } from '@rlhf-streams/serving';
import { type PolicyTokenizers, tokensFor } from './rollout-tokens.js';
import { type Scored, type Scorers, scoreBy } from './scorers.js';

type Rollout = DataFor<'rollout.generated'>;

/** Milliseconds that a rollout may wait for its turn: each request to a scorer has a limit of its own, and many may come before it. */
const PATIENCE_MS = 24 * 60 * 60 * 1000;

/**
 * Scores every rollout of runs that name scorers. A declared scorer may be out of reach for long: what waits for it is
 * consumed by a group of its own, so that it holds up nobody else. Such a group begins with the oldest rollout, when the
 * first run names its scorer.
 */
export async function scoreRollouts(
  context: ServiceContext,
  runs: Projection<RunView>,
  scorers: Scorers,
  policyTokenizers: PolicyTokenizers,
): Promise<void> {
  const groups = new Map<string, Promise<void>>();
  const haveGroup = (declared: string): Promise<void> => {
    const known = groups.get(declared);
    if (known) return known;
    const begun = consume(declared).catch((error) => {
      groups.delete(declared);
      throw error;
    });
    groups.set(declared, begun);
    return begun;
  };

  const consume = (declared?: string) =>
    answerEvents(
      context,
      runs,
      {
        topics: ['rollouts'],
        onlyTypes: ['rollout.generated'],
        ...(declared !== undefined && { group: `${context.name}/${declared}` }),
      },
      {
        async answer(run, { data: rollout }) {
          const waitsFor = mayWaitFor(run);
          if (waitsFor !== declared) {
            if (declared === undefined) await haveGroup(waitsFor!);
            return undefined;
          }
          if (scorersOf(run.config!).length === 0) return undefined;
          try {
            const reward = await scoreBy(scorers, run, scoredOf(policyTokenizers, run, rollout));
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

  // The rollouts of a run under way may have been left to its group before a restart.
  const named = [...runs.state.values()].filter((run) => !hasEnded(run)).map(mayWaitFor);
  await Promise.all([consume(), ...named.map((declared) => declared !== undefined && haveGroup(declared))]);
}

/** The declared scorer, of several the first one, that the rollouts of a run may have to wait for. */
const mayWaitFor = ({ config }: RunView): string | undefined =>
  config && declaredScorers(config)[0]?.source.name;

const scoredOf = (policyTokenizers: PolicyTokenizers, run: RunView, rollout: Rollout): Scored => {
  const { promptText: prompt, text: completion, tokens, messages, tools, metadata } = rollout;
  return {
    text: prompt + completion,
    tokens: (own) =>
      policyTokenizers.of(run, async (policyTokenizer) => tokensFor(own, policyTokenizer, rollout)),
    item: async () => ({
      prompt,
      completion,
      tokens,
      ...(messages && { messages }),
      ...(tools && { tools }),
      ...(metadata && { metadata }),
    }),
  };
};

const failed = (rollout: Rollout, cause: Cause): NewEvent => ({
  type: 'reward.failed',
  ...stamped(rollout, { cause }),
});

const stamped = <Said>({ run, step, prompt, rollout, policyVersion }: Rollout, said: Said) => ({
  id: rollout,
  data: { run, step, prompt, rollout, policyVersion, ...said },
});
