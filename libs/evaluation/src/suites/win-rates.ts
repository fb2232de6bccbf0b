/** Win rates of a policy as judges saw its answers beside others. */
import { agreement } from '../agreement.js';
import { bootstrapMean } from '../bootstrap.js';
import { EvaluationError } from '../errors.js';
import { type LengthedOutcome, lengthControlledWinRate } from '../length-controlled.js';
import { wilsonEstimate } from '../statistics.js';
import { type Outcome, winRateOf } from '../win-rate.js';
import type { JudgeAgreement, Measured, Measurement } from './evaluation.js';
import { type MeasureOptions, type Observation, sliced } from './measure.js';

/** Two answers to one prompt as a judge saw them: `a` is the policy's. */
export interface JudgedPair extends LengthedOutcome, Pick<Observation, 'item' | 'fields'> {
  /** Whether the verdict stayed the same when the order was swapped, of a judge that was asked in both orders. */
  readonly consistent?: boolean;
}

type About = Omit<Measured, 'measure' | 'kind' | 'unit'> & { readonly against: string };

const POINTS: Readonly<Record<Outcome, number>> = { a: 1, tie: 0.5, b: 0 };

/**
 * The win rate over all pairs and over each slice, the same at equal length where lengths differ enough to tell, and for a
 * judge that was asked in both orders the share of its verdicts that a swap did not change.
 */
export function measureWins(
  about: About,
  pairs: readonly JudgedPair[],
  { seed, slices = [] }: MeasureOptions,
): Measurement[] {
  return sliced(pairs, slices).flatMap(({ slice, items }): Measurement[] => {
    const of = (measure: string) => ({
      ...about,
      kind: 'win_rate' as const,
      measure,
      unit: 'share' as const,
      ...(slice && { slice }),
    });
    const outcomes = items.map(({ outcome }) => outcome);
    const { wins, ties, losses, ...estimate } = winRateOf(outcomes);
    const controlled = atEqualLength(items);
    const asked = items.filter(({ consistent }) => consistent !== undefined);
    const kept = asked.filter(({ consistent }) => consistent);
    return [
      {
        ...of('win_rate'),
        estimate,
        bootstrap: bootstrapMean(
          outcomes.map((outcome) => POINTS[outcome]),
          { seed },
        ),
        counts: { wins, ties, losses },
      },
      ...(controlled ? [{ ...of('length_controlled_win_rate'), estimate: controlled }] : []),
      ...(asked.length > 0
        ? [{ ...of('order_consistency'), estimate: wilsonEstimate(kept.length, asked.length) }]
        : []),
    ];
  });
}

/** Undefined where the effect of length cannot be told from the policies'. */
function atEqualLength(pairs: readonly JudgedPair[]) {
  try {
    const { lengthEffect: _, ...estimate } = lengthControlledWinRate(pairs);
    return estimate;
  } catch (error) {
    if (error instanceof EvaluationError && error.code === 'EVALUATION_LENGTH_CONFOUNDED') return undefined;
    throw error;
  }
}

/**
 * How far each two judges agree on the pairs that both of them judged, all of these and those of each slice; judges without a
 * pair in common are left out.
 */
export function judgeAgreements(
  about: Pick<JudgeAgreement, 'suite' | 'policy' | 'against'>,
  byJudge: Readonly<Record<string, readonly JudgedPair[]>>,
  { slices = [] }: Pick<MeasureOptions, 'slices'>,
): JudgeAgreement[] {
  const judges = Object.entries(byJudge);
  return judges.flatMap(([one, pairs], place) =>
    judges.slice(place + 1).flatMap(([other, others]) => {
      const outcomes = new Map(others.map(({ item, outcome }) => [item, outcome]));
      const both = pairs.flatMap(({ item, fields, outcome }) => {
        const another = outcomes.get(item);
        return another === undefined ? [] : [{ fields, verdicts: [outcome, another] as const }];
      });
      return sliced(both, slices).map(({ slice, items }) => ({
        ...about,
        ...(slice && { slice }),
        between: [one, other] as const,
        ...agreement(items.map(({ verdicts }) => verdicts)),
      }));
    }),
  );
}
