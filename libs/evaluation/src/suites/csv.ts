/** An evaluation as a table of comma-separated values, a line for each number. */
import { csvOf } from '../csv.js';
import type { Difference, Evaluation, JudgeAgreement, Measurement } from './evaluation.js';

const COLUMNS = [
  ...['suite', 'kind', 'measure', 'by', 'policy', 'against', 'field', 'value'],
  ...['mean', 'low', 'high', 'bootstrap_low', 'bootstrap_high', 'n', 'wins', 'ties', 'losses', 'kappa'],
];

/**
 * Differences from the baseline come after the measurements, with `difference` before the name of their measure, and then the
 * agreements of two judges, whom `by` names both.
 */
export function evaluationCsv({ measurements, differences, agreements }: Evaluation): string {
  const rows = [
    ...measurements.map((measurement) => cellsOf(measurement)),
    ...differences.map((each) => cellsOf({ ...each, measure: `difference ${each.measure}` })),
    ...agreements.map(agreementCells),
  ];
  return csvOf([COLUMNS, ...rows]);
}

type Cells = (string | number | undefined)[];

function cellsOf(row: Measurement | Difference): Cells {
  const { suite, kind, measure, by, policy, against, slice, estimate } = row;
  const { bootstrap, counts } = row as Measurement;
  return [
    ...[suite, kind, measure, by, policy, against, slice?.field, slice?.value],
    ...[estimate.mean, estimate.low, estimate.high, bootstrap?.low, bootstrap?.high, estimate.n],
    ...[counts?.wins, counts?.ties, counts?.losses, undefined],
  ];
}

const agreementCells = ({ suite, policy, against, between, slice, share, kappa }: JudgeAgreement): Cells => [
  ...[suite, 'win_rate', 'agreement', between.join(', '), policy, against, slice?.field, slice?.value],
  ...[share.mean, share.low, share.high, undefined, undefined, share.n],
  ...[undefined, undefined, undefined, kappa],
];
