/** What came out of labels, as tables of text and as comma-separated values. */
import { csvOf } from '../csv.js';
import { cellOf, kappaOf, sliceCell, type TextTable, titled, withSlices } from '../suites/tables.js';
import { writeEstimates } from '../written.js';
import type { HeldOutAgreement, LabelerAgreement } from './label-agreement.js';
import type { LabelMeasurement } from './measure-labels.js';

export interface LabelResults {
  readonly labels: number;
  readonly labelers: readonly string[];
  readonly heldOut: readonly string[];
  readonly measurements: readonly LabelMeasurement[];
  readonly agreements: readonly LabelerAgreement[];
  readonly heldOutAgreements: readonly HeldOutAgreement[];
}

/** Tables of the labels and of both kinds of agreement, each followed by one for each column that it is sliced by. */
export const labelTables = ({ measurements, agreements, heldOutAgreements }: LabelResults): TextTable[] => [
  ...withSlices(measurements, (rows, field) => ({
    title: titled('Labels', field),
    head: ['measure', ...sliceCell(field), 'mean, or share of yes', 'labels'],
    rows: rows.map((each) => [each.measure, ...sliceCell(each.slice?.value), ...estimateOf(each)]),
  })),
  ...withSlices(agreements, (rows, field) => ({
    title: titled('Agreement of labelers', field),
    head: ['measure', 'among', ...sliceCell(field), 'same answer', 'kappa', 'labelers', 'ratings', 'items'],
    rows: rows.map(({ measure, among, slice, share, kappa, statistic, labelers, ratings }) => [
      ...[measure, among, ...sliceCell(slice?.value), cellOf(writeEstimates([share], 'percent')[0])],
      ...[`${kappaOf(kappa)} ${statistic}`, String(labelers), String(ratings), String(share.n)],
    ]),
  })),
  ...withSlices(heldOutAgreements, (rows, field) => ({
    title: titled('Agreement with held-out labelers', field),
    head: ['measure', 'predicted by', 'with', ...sliceCell(field), 'same answer', 'kappa', 'answers'],
    rows: rows.map(({ measure, predictor, with: who, slice, share, kappa }) => [
      ...[measure, predictor, who, ...sliceCell(slice?.value)],
      ...[cellOf(writeEstimates([share], 'percent')[0]), kappaOf(kappa), String(share.n)],
    ]),
  })),
];

function estimateOf({ measure, estimate }: LabelMeasurement): string[] {
  const form = measure === 'overall_quality' ? 'number' : 'percent';
  return [cellOf(writeEstimates([estimate], form)[0]), String(estimate.n)];
}

const COLUMNS = [
  ...['kind', 'measure', 'field', 'value', 'predictor', 'among', 'mean', 'low', 'high'],
  ...['bootstrap_low', 'bootstrap_high', 'n', 'kappa', 'statistic'],
];

/** A line for each number: kinds are `label`, `agreement` and `held_out`; `mean` is a mean quality or a share. */
export function labelsCsv({ measurements, agreements, heldOutAgreements }: LabelResults): string {
  return csvOf([
    COLUMNS,
    ...measurements.map(({ measure, slice, estimate, bootstrap }) => [
      ...['label', measure, slice?.field, slice?.value, undefined, undefined],
      ...[estimate.mean, estimate.low, estimate.high, bootstrap?.low, bootstrap?.high, estimate.n],
      ...[undefined, undefined],
    ]),
    ...agreements.map(({ measure, among, slice, share, kappa, statistic }) => [
      ...['agreement', measure, slice?.field, slice?.value, undefined, among],
      ...[share.mean, share.low, share.high, undefined, undefined, share.n, kappa, statistic],
    ]),
    ...heldOutAgreements.map(({ measure, predictor, with: who, slice, share, kappa }) => [
      ...['held_out', measure, slice?.field, slice?.value, predictor, who],
      ...[share.mean, share.low, share.high, undefined, undefined, share.n, kappa, 'Cohen'],
    ]),
  ]);
}
