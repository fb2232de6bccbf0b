/** What the scorers of a run say of a completion, and the reward that comes of it. */
import { type Rule, type RunScorer, type RunView, type SourceScorer, scorersOf } from '@rlhf-streams/runs';
import {
  combineScores,
  requireFinite,
  ruleScorer,
  type Score,
  ScorerError,
  type ScorerItem,
  weighedSum,
} from '@rlhf-streams/scorers';
import type { ModelInput, ModelScorers } from './model-scorers.js';

/** A completion, as each kind of scorer reads it. */
export interface Scored extends ModelInput {
  readonly item: () => Promise<ScorerItem>;
}

export interface Reward {
  /** The sum of the scores, each times its weight: what training uses. */
  readonly score: number;
  /** Score by scorer, and by `SCORER/PART` what it was made of; null of what does not apply. */
  readonly parts: Record<string, number | null>;
}

/**
 * @throws ScorerError why there is no reward, or what the completion has to wait for; ModelError; RuntimeError
 *   RUNTIME_UNAVAILABLE for a model that cannot be fetched
 */
export async function scoreBy(models: ModelScorers, run: RunView, scored: Scored): Promise<Reward> {
  const scorers = await Promise.all(
    scorersOf(run.config!).map(async ({ name, weight, ...scorer }) => {
      const { score, parts = {} } = await answerOf(models, run, { name, weight, ...scorer }, scored);
      return { name, weight, score, parts };
    }),
  );
  const parts = Object.fromEntries(
    scorers.flatMap(({ name, score, parts }) => [
      [name, score],
      ...Object.entries(parts).map(([part, value]) => [`${name}/${part}`, value] as const),
    ]),
  );
  requireFinite(parts);
  return { score: weighedSum(scorers), parts };
}

type Answered = Omit<Score, 'score'> & { readonly score: number | null };

async function answerOf(
  models: ModelScorers,
  run: RunView,
  scorer: RunScorer | SourceScorer,
  scored: Scored,
): Promise<Answered> {
  if ('rule' in scorer) return { score: ruleOf(scorer.rule)(await scored.item()) };
  if ('members' in scorer) {
    const { members, ensemble } = scorer;
    const answers = await Promise.all(members.map((member) => answerOf(models, run, member, scored)));
    const scores = answers.map(({ score }) => score);
    return {
      score: combineScores(scores, ensemble),
      parts: Object.fromEntries(members.map(({ name }, index) => [name, scores[index]!])),
    };
  }
  const { role, source } = scorer;
  if (source.from === 'declared')
    throw new ScorerError('SCORER_UNDECLARED', `expected scorer ${source.name} to be declared, it is not`);
  const ref = run.models![role] ?? { base: run.artifacts![role]! };
  return { score: await models.use(ref, (model) => model.score(scored)) };
}

/** Rules with their patterns compiled, by the object that a run's configuration has. */
const rules = new WeakMap<Rule, ReturnType<typeof ruleScorer>>();

function ruleOf(rule: Rule): ReturnType<typeof ruleScorer> {
  const known = rules.get(rule) ?? ruleScorer(rule);
  rules.set(rule, known);
  return known;
}
