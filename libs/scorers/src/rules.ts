/** Scores by what a completion looks like. A rule runs no code of whoever wrote it. */
import type { Rule } from '@rlhf-streams/runs';
import { RE2JS } from 're2js';
import type { ScorerItem } from './answer.js';
import { ScorerError } from './errors.js';

type Unit = NonNullable<Rule['length']>['unit'];

/**
 * What a rule says of completions. A pattern is searched in time linear in the completion.
 * @throws (when it scores) ScorerError SCORER_REFUSED where tokens are to be counted and the completion comes without
 */
export function ruleScorer({ length, lengthWithin, matches }: Rule): (item: ScorerItem) => number {
  if (length) return (item) => lengthOf(item, length.unit);
  if (lengthWithin) {
    const { unit, min, max = Number.POSITIVE_INFINITY } = lengthWithin;
    return (item) => {
      const counted = lengthOf(item, unit);
      return Number(counted >= min && counted <= max);
    };
  }
  if (matches !== undefined) {
    const pattern = RE2JS.compile(matches);
    return ({ completion }) => Number(pattern.matcher(completion).find());
  }
  // The schema lets no other rule pass than a format, and there is one.
  return ({ completion }) => Number(isJson(completion));
}

/** Whether a rule counts the tokens of completions. */
export const countsTokens = ({ length, lengthWithin }: Rule): boolean =>
  (length ?? lengthWithin)?.unit === 'tokens';

function lengthOf({ completion, tokens }: ScorerItem, unit: Unit): number {
  switch (unit) {
    case 'tokens':
      if (tokens) return tokens.length;
      throw new ScorerError('SCORER_REFUSED', 'expected a completion with its tokens, got a text alone');
    case 'words':
      return completion.split(/\s+/).filter((word) => word !== '').length;
    case 'characters':
      return [...completion].length;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
