/** What a study is made of: parts, each a question with its runs and what is compared of them. */
import type { EqualReward, Estimate, Evaluation, ReportPart } from '@rlhf-streams/evaluation';
import { compareAtEqualReward, meanEstimate } from '@rlhf-streams/evaluation';
import type { RunConfig } from '@rlhf-streams/runs';
import type { FrontierInput, FrontierPoint, FrontierResults, RunSet } from 'rlhf-streams';
import { written } from 'rlhf-streams';

export interface StudyOptions {
  /** Few steps and one seed: every part runs, and says little. */
  readonly short: boolean;
  readonly seeds: readonly number[];
  /** Where files are written that runs read. */
  readonly files: string;
  /** Folder with the rankings of AlpacaEval: train.jsonl and test.jsonl. */
  readonly alpaca: string | undefined;
  /** Folder of a checkpoint that is trained by adapters. */
  readonly model: string | undefined;
}

/** Carries out runs, and reads what they measured. */
export interface Carrier {
  sweep(frontier: FrontierInput): Promise<FrontierResults>;
  /** Carries out runs that are no frontier. @returns the metrics of the steps of each that completed, by its name */
  carry(set: RunSet): Promise<RunMetrics>;
  /**
   * Carries out what a file of `rlhf-streams evaluate` says, after the runs whose policies it judges.
   * @returns its results, or which of all these runs failed
   */
  evaluate(
    evaluation: { readonly evaluation: string; readonly [setting: string]: unknown },
    policies: readonly RunConfig[],
  ): Promise<Evaluation | Pick<RunMetrics, 'failed'>>;
}

export interface RunMetrics {
  readonly steps: ReadonlyMap<string, readonly MeasuredStep[]>;
  readonly failed: readonly { readonly run: string; readonly cause: string }[];
}

export interface MeasuredStep {
  readonly step: number;
  readonly time: string;
  readonly metrics: Readonly<Record<string, number>>;
}

export type Answer = Pick<ReportPart, 'result' | 'tables' | 'charts'>;

export interface Part {
  readonly name: string;
  readonly title: string;
  /** What is asked, and how it is measured. */
  readonly text: string;
  /** Why the part is left out, where what it needs is missing. */
  skipped?(study: StudyOptions): string | undefined;
  answer(study: StudyOptions, carrier: Carrier): Promise<Answer>;
}

/** A number of the full study, or of a short one. */
export const size = ({ short }: Pick<StudyOptions, 'short'>, full: number, few: number): number =>
  short ? few : full;

/** Rows of a table with the runs that did not complete; none where all did. */
export const failures = (failed: RunMetrics['failed']): NonNullable<ReportPart['tables']> =>
  failed.length === 0
    ? []
    : [
        {
          title: 'Runs that did not complete',
          head: ['run', 'cause'],
          rows: failed.map(({ run, cause }) => [run, cause]),
        },
      ];

/**
 * How two members differ in a value at equal reward, seed by seed: each seed's versions of a member, of all settings
 * and steps, are the points that are interpolated between.
 */
export function atEqualReward(
  points: readonly FrontierPoint[],
  [a, b]: readonly [string, string],
  measured: (point: FrontierPoint) => number | undefined,
  rewardOf: (point: FrontierPoint) => number = ({ reward }) => reward,
): { readonly row: readonly string[]; readonly sentence: string } {
  const of = (member: string, seed: number) =>
    points.flatMap((point) => {
      const value = point.member === member && point.seed === seed ? measured(point) : undefined;
      return value === undefined ? [] : [{ reward: rewardOf(point), value }];
    });
  const seeds = [...new Set(points.map(({ seed }) => seed))];
  const compared = seeds.map((seed) => compareAtEqualReward(of(a, seed), of(b, seed)));
  const comparable = compared.filter(
    (each): each is Extract<EqualReward, { comparable: true }> => each.comparable,
  );
  if (comparable.length === 0) {
    const [reason] = compared.map((each) => (each.comparable ? '' : each.reason));
    return {
      row: [`${a} and ${b}`, 'not comparable', '', '', reason ?? ''],
      sentence: `${a} and ${b} are not comparable: ${reason ?? 'nothing was measured'}.`,
    };
  }
  const estimate = (of: (each: (typeof comparable)[number]) => number) => meanEstimate(comparable.map(of));
  const difference = estimate((each) => each.difference);
  const isClear = difference.low > 0 || difference.high < 0;
  const { mean, low, high, ...rest } = difference;
  const amount =
    mean < 0
      ? `${inProse({ ...rest, mean: -mean, low: -high, high: -low })} less`
      : `${inProse(difference)} more`;
  const sentence = `${a} has ${amount} than ${b}${isClear ? '' : ', which the seeds do not tell from none'}; ${comparable.length} of ${seeds.length} seeds can be compared.`;
  return {
    row: [
      `${a} and ${b}`,
      written(estimate((each) => each.a)),
      written(estimate((each) => each.b)),
      written(difference),
      `${comparable.length} of ${seeds.length} seeds`,
    ],
    sentence,
  };
}

/** An estimate with a true minus sign. */
export const inProse = (estimate: Estimate): string => written(estimate).replace('-', '\u2212');
