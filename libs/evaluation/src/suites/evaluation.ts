/** The results of an evaluation as plain data: what a table, a file or a page is made from. */
import type { Interval } from '../bootstrap.js';
import type { Estimate } from '../statistics.js';

export type SuiteKind = 'win_rate' | 'scores' | 'toxicity' | 'multiple_choice' | 'paired_sentences';

/** What was measured, and of whom. */
export interface Measured {
  readonly suite: string;
  readonly kind: SuiteKind;
  /** `win_rate`, `length_controlled_win_rate`, `score`, `kl`, `length`, `accuracy`, `mc2` and so on. */
  readonly measure: string;
  /** The unit of its numbers. A share is of successes; shares and probabilities are from 0 to 1. */
  readonly unit: 'share' | 'probability' | 'score' | 'nats per sequence' | 'tokens';
  /** The judge or scorer, where one was asked. */
  readonly by?: string;
  readonly policy: string;
  /** What the policy is measured against: another policy, or `completions`. */
  readonly against?: string;
  /** The rows that were measured, where they are not all. */
  readonly slice?: Slice;
}

export interface Slice {
  /** A field of the rows. */
  readonly field: string;
  readonly value: string;
}

/** A number with its intervals. */
export interface Measurement extends Measured {
  /** With its 95 % interval: Wilson's of a share, Student's of a mean. */
  readonly estimate: Estimate;
  /** The same by the bootstrap over items. */
  readonly bootstrap?: Interval;
  /** The pairs won, tied and lost of a win rate; other measures have none. */
  readonly counts?: { readonly wins: number; readonly ties: number; readonly losses: number };
}

/** A row of the regression table: how a policy differs from the baseline in a measure. */
export interface Difference extends Measured {
  /** The baseline. */
  readonly against: string;
  /** Mean difference over the items of both, with the 95 % interval of the paired bootstrap. */
  readonly estimate: Estimate;
}

/** How far two judges agree on the pairs that both judged. */
export interface JudgeAgreement extends Pick<Measured, 'suite' | 'policy' | 'slice'> {
  readonly against: string;
  readonly between: readonly [string, string];
  readonly share: Estimate;
  /** Cohen's kappa over win, tie and loss; NaN where both always say one and the same. */
  readonly kappa: number;
}

/** Items of a policy that nothing was measured of, because they failed. */
export interface Failures extends Pick<Measured, 'suite' | 'policy'> {
  readonly items: number;
}

export interface Evaluation {
  readonly name: string;
  readonly policies: readonly string[];
  readonly baseline: string;
  readonly measurements: readonly Measurement[];
  readonly differences: readonly Difference[];
  readonly agreements: readonly JudgeAgreement[];
  readonly failures: readonly Failures[];
}
