/** An evaluation as a table of comma-separated values (RFC 4180), a line for each number. */
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
  return [COLUMNS, ...rows].map((cells) => `${cells.map(quoted).join(',')}\r\n`).join('');
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

const quoted = (cell: string | number | undefined = ''): string => {
  const text = typeof cell === 'number' && !Number.isFinite(cell) ? '' : String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
