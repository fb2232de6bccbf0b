/** The one look of everything that the command prints in columns. */
import CliTable from 'cli-table3';

export interface TableOptions {
  /** Titles of the columns, over a rule; none: rows alone. */
  readonly head?: readonly string[];
  /** Columns that stand at their right edge, as numbers do: by default those that hold nothing else. */
  readonly right?: readonly number[];
  /** Widths in characters of columns whose text is wrapped between words; null: as wide as the text. */
  readonly widths?: readonly (number | null)[];
}

const NUMBER = /^(-|[-+]?\d*\.?\d+(e[-+]?\d+)?)$/;

/**
 * Rows of text as lines of aligned columns: no borders, no colours, no trailing spaces, and as wide as their text
 * whether or not a terminal shows them.
 *
 * @example table([['ppo.klCoef', '0.05'], ['steps', '9']], { head: ['setting', 'value'] })
 */
export function table(rows: readonly (readonly string[])[], options: TableOptions = {}): string {
  const count = (options.head ?? rows[0] ?? []).length;
  const right = options.right ?? numericColumns(rows, count);
  const drawn = new CliTable({
    ...(options.head && { head: [...options.head] }),
    chars: CHARS,
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 0 },
    colAligns: Array.from({ length: count }, (_, column) => (right.includes(column) ? 'right' : 'left')),
    ...(options.widths && { colWidths: [...options.widths], wordWrap: true }),
  });
  for (const row of rows) drawn.push([...row]);
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

function numericColumns(rows: readonly (readonly string[])[], count: number): number[] {
  const columns = Array.from({ length: count }, (_, column) => column);
  return columns.filter((column) => rows.length > 0 && rows.every((row) => NUMBER.test(row[column]!)));
}

/** Two spaces between columns, and a rule below the titles. */
const CHARS = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
  ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
  ...{ left: '', 'left-mid': '', right: '', 'right-mid': '' },
  ...{ mid: '-', 'mid-mid': '--', middle: '  ' },
};
