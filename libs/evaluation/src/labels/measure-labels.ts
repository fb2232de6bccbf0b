/** From labels to numbers with intervals, over all rows and over slices of them. */
import { bootstrapMean, type Interval } from '../bootstrap.js';
import { type Estimate, meanEstimate, wilsonEstimate } from '../statistics.js';
import type { Slice } from '../suites/evaluation.js';
import { type MeasureOptions, sliced } from '../suites/measure.js';
import { type Label, labelFlags } from './label.js';

/** A number of the labels that say something of a measure; each of them counts as one independent observation. */
export interface LabelMeasurement {
  /** `overall_quality`, or the name of a yes-or-no column. */
  readonly measure: string;
  /** The labels that were measured, where they are not all. */
  readonly slice?: Slice;
  /** The mean quality with Student's 95 % interval, or the share of yes with Wilson's. */
  readonly estimate: Estimate;
  /** The bootstrap interval of a mean quality; a share of yes has none. */
  readonly bootstrap?: Interval;
}

/** The mean quality and the share of yes of every flag, over all labels and over those of each value of each field to slice by. */
export function measureLabels(
  labels: readonly Label[],
  { seed, slices = [] }: MeasureOptions,
): LabelMeasurement[] {
  return slicedLabels(labels, slices).flatMap(({ slice, labels }): LabelMeasurement[] => {
    const about = slice && { slice };
    const qualities = labels.flatMap((label) => label.overall_quality ?? []);
    return [
      ...(qualities.length === 0
        ? []
        : [
            {
              measure: 'overall_quality',
              ...about,
              estimate: meanEstimate(qualities),
              bootstrap: bootstrapMean(qualities, { seed }),
            },
          ]),
      ...labelFlags.flatMap((flag) => {
        const answers = labels.flatMap((label) => label[flag] ?? []);
        const yes = answers.filter((answer) => answer).length;
        return answers.length === 0
          ? []
          : [{ measure: flag, ...about, estimate: wilsonEstimate(yes, answers.length) }];
      }),
    ];
  });
}

/** All labels, and those of each value of each column. */
export function slicedLabels(
  labels: readonly Label[],
  columns: readonly string[],
): { readonly slice?: Slice; readonly labels: readonly Label[] }[] {
  const rows = labels.map((label) => ({ label, fields: label }));
  return sliced(rows, columns).map(({ items, ...about }) => ({
    ...about,
    labels: items.map(({ label }) => label),
  }));
}
