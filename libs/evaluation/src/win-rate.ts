import { type Estimate, wilsonEstimate } from './statistics.js';

/** Which of the policies `a` and `b` gave the better completion to one prompt. */
export type Outcome = 'a' | 'b' | 'tie';

/** What a judge said of two completions shown one after the other. */
type Preference = 'first' | 'second' | 'tie';

/** One prompt judged twice: with `a` shown first (`ab`), and with `b` shown first (`ba`). */
export interface BothOrders {
  readonly ab: Preference;
  readonly ba: Preference;
}

/** Share of prompts that `a` wins, ties counted half, with Wilson's 95 % interval and the counts behind it. */
export interface WinRate extends Estimate {
  readonly wins: number;
  readonly ties: number;
  readonly losses: number;
}

/**
 * Win rate of policy `a` over policy `b` from the scores of both on the same prompts; the higher score wins.
 *
 * @example winRate([{ a: 1.2, b: 0.3 }, { a: 0.1, b: 0.1 }]).mean // 0.75
 */
export function winRate(pairs: readonly { readonly a: number; readonly b: number }[]): WinRate {
  return winRateOf(pairs.map(({ a, b }) => (a > b ? 'a' : a < b ? 'b' : 'tie')));
}

/** Win rate of policy `a` from outcomes, as people or a judge of both orders give them. */
export function winRateOf(outcomes: readonly Outcome[]): WinRate {
  const wins = outcomes.filter((outcome) => outcome === 'a').length;
  const losses = outcomes.filter((outcome) => outcome === 'b').length;
  const ties = outcomes.length - wins - losses;
  return { ...wilsonEstimate(wins + ties / 2, outcomes.length), wins, ties, losses };
}

/** Outcome of one prompt judged in both orders: a verdict that does not survive the swap is a tie. */
export function reconcileOrders({ ab, ba }: BothOrders): Outcome {
  if (ab === 'first' && ba === 'second') return 'a';
  if (ab === 'second' && ba === 'first') return 'b';
  return 'tie';
}

/** Share of prompts whose verdict stayed the same when the order was swapped: how far to trust the judge. */
export function orderConsistency(judgements: readonly BothOrders[]): Estimate {
  const consistent = judgements.filter(
    (judgement) => reconcileOrders(judgement) !== 'tie' || (judgement.ab === 'tie' && judgement.ba === 'tie'),
  );
  return wilsonEstimate(consistent.length, judgements.length);
}
