/** What the scorers of a run say of a completion, and the reward that comes of it. */
import { type Rule, type RunScorer, type RunView, type SourceScorer, scorersOf } from '@rlhf-streams/runs';
import {
  type Answer,
  combineScores,
  type DeclaredScorers,
  requireFinite,
  ruleScorer,
  type Score,
  ScorerError,
  type ScorerItem,
  weighedSum,
} from '@rlhf-streams/scorers';
import type { ModelInput, ModelScorers } from './model-scorers.js';

/** All that can score in this service. */
export interface Scorers {
  readonly models: ModelScorers;
  readonly declared: DeclaredScorers;
}

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
export async function scoreBy(using: Scorers, run: RunView, scored: Scored): Promise<Reward> {
  const scorers = await Promise.all(
    scorersOf(run.config!).map(async ({ name, weight, ...scorer }) => {
      const { score, parts = {} } = await answerOf(using, run, { name, weight, ...scorer }, scored);
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
  using: Scorers,
  run: RunView,
  scorer: RunScorer | SourceScorer,
  scored: Scored,
): Promise<Answered> {
  if ('rule' in scorer) return { score: ruleOf(scorer.rule)(await scored.item()) };
  if ('members' in scorer) {
    const { members, ensemble } = scorer;
    const answers = await Promise.all(members.map((member) => answerOf(using, run, member, scored)));
    const scores = answers.map(({ score }) => score);
    return {
      score: combineScores(scores, ensemble),
      parts: Object.fromEntries(members.map(({ name }, index) => [name, scores[index]!])),
    };
  }
  const { role, source } = scorer;
  if (source.from === 'declared') {
    requireSame(using.declared, source.name, run.declared?.[role]);
    return orThrow(source.name, await using.declared.score(source.name, await scored.item()));
  }
  const ref = run.models![role] ?? { base: run.artifacts![role]! };
  return { score: await using.models.use(ref, (model) => model.score(scored)) };
}

/** A run is rewarded by the scorers that it started with: another declaration would change the reward on its way. */
function requireSame(
  declared: DeclaredScorers,
  name: string,
  started: { readonly sha256: string } | undefined,
): void {
  if (declared.sha256Of(name) === started?.sha256) return;
  throw new ScorerError(
    'SCORER_CHANGED',
    `expected scorer ${name} to be declared as when the run started, got another declaration: restore it, or request the run anew`,
  );
}

/** @throws ScorerError why there is no score, naming the scorer */
export function orThrow(name: string, answer: Answer): Answered {
  if (answer instanceof ScorerError)
    throw new ScorerError(answer.code, `scorer ${name}: ${answer.message}`, { cause: answer });
  return answer ?? { score: null };
}

/** Rules with their patterns compiled, by the object that a run's configuration has. */
const rules = new WeakMap<Rule, ReturnType<typeof ruleScorer>>();

function ruleOf(rule: Rule): ReturnType<typeof ruleScorer> {
  const known = rules.get(rule) ?? ruleScorer(rule);
  rules.set(rule, known);
  return known;
}
