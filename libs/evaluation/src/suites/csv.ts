/** An evaluation as a table of comma-separated values, a line for each number. */
import { csvOf } from '../csv.js';
import type { Difference, Evaluation, Measurement } from './evaluation.js';

const COLUMNS = [
  ...['suite', 'kind', 'measure', 'by', 'policy', 'against', 'field', 'value'],
  ...['mean', 'low', 'high', 'bootstrap_low', 'bootstrap_high', 'n', 'wins', 'ties', 'losses'],
];

/** Differences from the baseline come after the measurements, with `difference` before the name of their measure. */
export function evaluationCsv({ measurements, differences }: Evaluation): string {
  const rows = [
    ...measurements.map((measurement) => cellsOf(measurement)),
    ...differences.map((each) => cellsOf({ ...each, measure: `difference ${each.measure}` })),
  ];
  return csvOf([COLUMNS, ...rows]);
}

function cellsOf(row: Measurement | Difference): (string | number | undefined)[] {
  const { suite, kind, measure, by, policy, against, slice, estimate } = row;
  const { bootstrap, counts } = row as Measurement;
  return [
    ...[suite, kind, measure, by, policy, against, slice?.field, slice?.value],
    ...[estimate.mean, estimate.low, estimate.high, bootstrap?.low, bootstrap?.high, estimate.n],
    ...[counts?.wins, counts?.ties, counts?.losses],
  ];
}
