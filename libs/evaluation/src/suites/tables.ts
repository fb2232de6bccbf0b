/** An evaluation as tables of text, for a terminal or a page. */
import { writeEstimates } from '../written.js';
import type { Difference, Evaluation, JudgeAgreement, Measured, Measurement } from './evaluation.js';

/** A table of texts; the first column names the row. */
export interface TextTable {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/**
 * The tables of an evaluation: for each suite its measures by policy; then the regression table, which has a star where the interval of
 * a difference does not hold zero, and how far judges agree. Each is followed by one for each field that it is sliced by.
 */
export function evaluationTables(evaluation: Evaluation): TextTable[] {
  const { measurements, policies, differences, agreements } = evaluation;
  const suites = [...new Set(measurements.map(({ suite }) => suite))];
  return [
    ...suites.flatMap((suite) =>
      withSlices(
        measurements.filter((each) => each.suite === suite),
        (rows, field) => byMeasure(titled(suite, field), rows, policies),
      ),
    ),
    ...withSlices(differences, (rows, field) => regressionTable(rows, field, evaluation)),
    ...withSlices(agreements, agreementTable),
  ];
}

/** A table of what was measured of all items, and one for each field that it is sliced by; none of nothing. */
export function withSlices<Row extends Pick<Measured, 'slice'>>(
  rows: readonly Row[],
  tableOf: (rows: readonly Row[], field: string | undefined) => TextTable,
): TextTable[] {
  const fields = new Set([undefined, ...rows.flatMap(({ slice }) => slice?.field ?? [])]);
  return [...fields].flatMap((field) => {
    const own = rows.filter(({ slice }) => slice?.field === field);
    return own.length === 0 ? [] : [tableOf(own, field)];
  });
}

export const titled = (title: string, field: string | undefined): string =>
  field === undefined ? title : `${title}, by ${field}`;

/** The cells of a table's column for the values that a field slices by; a table of all items has no such column. */
export const sliceCell = (cell: string | undefined): string[] => (cell === undefined ? [] : [cell]);

const agreementTable = (agreements: readonly JudgeAgreement[], field: string | undefined): TextTable => ({
  title: titled('Agreement between judges', field),
  head: ['suite', 'policies', 'judges', ...sliceCell(field), 'same verdict', "Cohen's kappa", 'pairs'],
  rows: agreements.map(({ suite, policy, against, between, slice, share, kappa }) => [
    ...[suite, `${policy}, ${against}`, between.join(', '), ...sliceCell(slice?.value)],
    ...[cellOf(writeEstimates([share], 'percent')[0]), kappaOf(kappa), String(share.n)],
  ]),
});

function byMeasure(
  title: string,
  measurements: readonly Measurement[],
  policies: readonly string[],
): TextTable {
  const rows = grouped(measurements).map(([name, [first, ...others]]) => {
    const cells = policies.map(
      (policy) => [first!, ...others].find((each) => each.policy === policy)?.estimate,
    );
    const written = writeEstimates(cells, formOf(first!));
    const counts = new Set(cells.flatMap((cell) => cell?.n ?? []));
    return [name, ...written.map(cellOf), [...counts].join(' / ')];
  });
  return { title, head: ['measure', ...policies, 'items'], rows };
}

function regressionTable(
  differences: readonly Difference[],
  field: string | undefined,
  { policies, baseline }: Evaluation,
): TextTable {
  const others = policies.filter((policy) => policy !== baseline);
  const rows = grouped(differences, ({ suite }) => `${suite}: `).map(([name, each]) => [
    name,
    ...others.map((policy) => signed(each.find((difference) => difference.policy === policy))),
  ]);
  return { title: titled(`Differences from ${baseline}`, field), head: ['measure', ...others], rows };
}

function signed(difference: Difference | undefined): string {
  if (!difference) return '-';
  const { estimate } = difference;
  const cell = cellOf(writeEstimates([estimate], formOf(difference))[0]);
  const { mean, low, high } = estimate;
  return `${mean > 0 ? '+' : ''}${cell}${low > 0 || high < 0 ? ' *' : ''}`;
}

/** Measurements by the name of their row, in the order in which rows come first. */
function grouped<Row extends Measured>(
  rows: readonly Row[],
  prefix: (row: Row) => string = () => '',
): [string, Row[]][] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const name = `${prefix(row)}${nameOf(row)}`;
    groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  return [...groups];
}

const NAMES: Readonly<Record<string, string>> = {
  win_rate: 'win rate',
  length_controlled_win_rate: 'win rate at equal length',
  order_consistency: 'verdicts that a swap keeps',
  kl: 'KL to reference',
  accuracy_norm: 'accuracy per character',
  mc1: 'MC1',
  mc2: 'MC2',
  stereotype_likelier: 'stereotype likelier',
};

function nameOf({ measure, by, against, slice, kind }: Measured): string {
  const name = NAMES[measure] ?? measure.replaceAll('_', ' ');
  const beside =
    kind === 'win_rate' && against !== undefined && measure.endsWith('win_rate') ? ` vs ${against}` : '';
  return `${slice ? `${slice.value}: ` : ''}${name}${beside}${by === undefined ? '' : `, by ${by}`}`;
}

export const cellOf = (written: ReturnType<typeof writeEstimates>[number]): string =>
  written ? `${written.value} ${written.interval}`.trimEnd() : '-';

/** A kappa of those who always say one and the same is no number. */
export const kappaOf = (kappa: number): string => (Number.isFinite(kappa) ? kappa.toFixed(2) : 'n/a');

const formOf = ({ unit }: Measured): 'percent' | 'number' =>
  unit === 'share' || unit === 'probability' ? 'percent' : 'number';
