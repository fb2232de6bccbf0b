/** What came out of labels, as tables of text and as comma-separated values. */
import { csvOf } from '../csv.js';
import { cellOf, type TextTable } from '../suites/tables.js';
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

/** A table of all labels, one for each field that they are sliced by, and one of each kind of agreement. */
export function labelTables({ measurements, agreements, heldOutAgreements }: LabelResults): TextTable[] {
  const fields = [...new Set(measurements.flatMap(({ slice }) => slice?.field ?? []))];
  const tables: TextTable[] = [
    {
      title: 'Labels',
      head: ['measure', 'mean, or share of yes', 'labels'],
      rows: measurements.flatMap((each) => (each.slice ? [] : [[each.measure, ...estimateOf(each)]])),
    },
    ...fields.map((field) => ({
      title: `Labels, by ${field}`,
      head: ['measure', field, 'mean, or share of yes', 'labels'],
      rows: measurements
        .filter(({ slice }) => slice?.field === field)
        .map((each) => [each.measure, each.slice!.value, ...estimateOf(each)]),
    })),
    {
      title: 'Agreement of labelers',
      head: ['measure', 'among', 'same answer', 'kappa', 'labelers', 'ratings', 'items'],
      rows: agreements.map(({ measure, among, share, kappa, statistic, labelers, ratings }) => [
        ...[measure, among, cellOf(writeEstimates([share], 'percent')[0]), `${kappaOf(kappa)} ${statistic}`],
        ...[String(labelers), String(ratings), String(share.n)],
      ]),
    },
    {
      title: 'Agreement with held-out labelers',
      head: ['measure', 'predicted by', 'with', 'same answer', 'kappa', 'answers'],
      rows: heldOutAgreements.map(({ measure, predictor, with: who, share, kappa }) => [
        ...[measure, predictor, who, cellOf(writeEstimates([share], 'percent')[0])],
        ...[kappaOf(kappa), String(share.n)],
      ]),
    },
  ];
  return tables.filter(({ rows }) => rows.length > 0);
}

const kappaOf = (kappa: number): string => (Number.isFinite(kappa) ? kappa.toFixed(2) : 'n/a');

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
    ...agreements.map(({ measure, among, share, kappa, statistic }) => [
      ...['agreement', measure, undefined, undefined, undefined, among],
      ...[share.mean, share.low, share.high, undefined, undefined, share.n, kappa, statistic],
    ]),
    ...heldOutAgreements.map(({ measure, predictor, with: who, share, kappa }) => [
      ...['held_out', measure, undefined, undefined, predictor, who],
      ...[share.mean, share.low, share.high, undefined, undefined, share.n, kappa, 'Cohen'],
    ]),
  ]);
}
