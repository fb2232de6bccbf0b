/** An evaluation as tables of text, for a terminal or a page. */
import { writeEstimates } from '../written.js';
import type { Difference, Evaluation, Measured, Measurement } from './evaluation.js';

/** A table of texts; the first column names the row. */
export interface TextTable {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/**
 * The tables of an evaluation: for each suite its measures by policy, and one more for each field that it is sliced by; then the regression
 * table, which has a star where the interval of a difference does not hold zero, and how far judges agree.
 */
export function evaluationTables(evaluation: Evaluation): TextTable[] {
  const { measurements, policies, agreements } = evaluation;
  const suites = [...new Set(measurements.map(({ suite }) => suite))];
  const bySuite = suites.flatMap((suite) => {
    const own = measurements.filter((each) => each.suite === suite);
    const fields = [...new Set(own.flatMap(({ slice }) => slice?.field ?? []))];
    return [
      byMeasure(
        suite,
        own.filter(({ slice }) => !slice),
        policies,
      ),
      ...fields.map((field) =>
        byMeasure(
          `${suite}, by ${field}`,
          own.filter(({ slice }) => slice?.field === field),
          policies,
        ),
      ),
    ];
  });
  return [
    ...bySuite,
    ...regressionTable(evaluation),
    ...(agreements.length === 0
      ? []
      : [
          {
            title: 'Agreement between judges',
            head: ['suite', 'policies', 'judges', 'same verdict', "Cohen's kappa", 'pairs'],
            rows: agreements.map(({ suite, policy, against, between, share, kappa }) => [
              suite,
              `${policy}, ${against}`,
              between.join(', '),
              cellOf(writeEstimates([share], 'percent')[0]),
              Number.isFinite(kappa) ? kappa.toFixed(2) : 'n/a',
              String(share.n),
            ]),
          },
        ]),
  ];
}

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

function regressionTable({ differences, policies, baseline }: Evaluation): TextTable[] {
  const overall = differences.filter(({ slice }) => !slice);
  const others = policies.filter((policy) => policy !== baseline);
  if (overall.length === 0) return [];
  const rows = grouped(overall, ({ suite }) => `${suite}: `).map(([name, each]) => [
    name,
    ...others.map((policy) => signed(each.find((difference) => difference.policy === policy))),
  ]);
  return [{ title: `Differences from ${baseline}`, head: ['measure', ...others], rows }];
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

const formOf = ({ unit }: Measured): 'percent' | 'number' =>
  unit === 'share' || unit === 'probability' ? 'percent' : 'number';
