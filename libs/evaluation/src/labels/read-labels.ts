/** Labels from the rows of a file, with every mistake told. */
import { EvaluationError } from '../errors.js';
import { labelRowsOf } from './comparisons.js';
import { itemOf, Label, labelFlags } from './label.js';

const MISTAKES_TOLD = 20;

interface ReadLabelsOptions<Row> {
  /** Columns with a scorer's number for each completion, where a row may have none. */
  readonly scores?: readonly string[];
  /** How messages name a row. Default: by its number, from 1. */
  readonly placeOf?: (row: Row, index: number) => string;
}

/**
 * Labels from the rows of a file, or from rankings and thumbs with labels as metadata, as feedback has them. Empty cells count as not
 * asked, but an empty prompt or completion is one.
 *
 * @param source the file's name, for messages
 * @throws EvaluationError EVALUATION_EMPTY; EVALUATION_BAD_LABEL, which tells mistakes by row and column: what
 *   was expected and what came; a row without any judgment, and a second one of the same labeler, completion and policy
 * @example readLabels([{ prompt: 'Hi', completion: 'Hello', labeler: 'ann', overall_quality: '6' }], 'labels.csv')
 */
export function readLabels<Row>(
  rows: readonly Row[],
  source: string,
  { scores = [], placeOf = (_, index) => `row ${index + 1}` }: ReadLabelsOptions<Row> = {},
): Label[] {
  if (rows.length === 0)
    throw new EvaluationError('EVALUATION_EMPTY', `${source}: expected at least one row, got none.`);
  const labels: Label[] = [];
  const mistakes: string[] = [];
  const seen = new Map<string, string>();
  for (const [place, row] of placed(rows, placeOf, mistakes)) {
    const told = (message: string) => mistakes.push(`  ${place}${message}`);
    const { data, error } = Label.safeParse(withoutEmpty(row));
    for (const { path, message } of error?.issues ?? [])
      told(`${path.length > 0 ? `, ${path.join('.')}` : ''}: ${message}`);
    if (!data) continue;
    for (const column of scores) {
      const value = data[column];
      if (value === undefined) continue;
      data[column] = typeof value === 'string' ? Number(value) : value;
      if (!Number.isFinite(data[column]))
        told(`, ${column}: expected a scorer's number, got ${JSON.stringify(value)}`);
    }
    if ([data.rank, data.overall_quality, ...labelFlags.map((flag) => data[flag])].every(isAbsent))
      told(`: expected a judgment (rank, overall_quality, or a yes-or-no column), got none`);
    const key = JSON.stringify([data.labeler, itemOf(data)]);
    const before = seen.get(key);
    if (before !== undefined)
      told(
        `, labeler: expected one judgment of a completion by each labeler, got a second of ${data.labeler}, after ${before}`,
      );
    seen.set(key, place);
    labels.push(data);
  }
  if (mistakes.length === 0) return labels;
  const more = mistakes.length - MISTAKES_TOLD;
  throw new EvaluationError(
    'EVALUATION_BAD_LABEL',
    [
      `${source} has rows that are no labels:`,
      ...mistakes.slice(0, MISTAKES_TOLD),
      ...(more > 0 ? [`  and ${more} more`] : []),
    ].join('\n'),
  );
}

/** Rows of labels, with where each stands. */
function placed<Row>(
  rows: readonly Row[],
  placeOf: (row: Row, index: number) => string,
  mistakes: string[],
): (readonly [place: string, row: unknown])[] {
  return rows.flatMap((row, index) => {
    const place = placeOf(row, index);
    const found = labelRowsOf(row);
    if ('column' in found) {
      const { column, expected, got } = found;
      mistakes.push(`  ${place}, ${column}: expected one for each of ${expected} completions, got ${got}`);
      return [];
    }
    return found.map(
      (each, i) => [found.length > 1 ? `${place}, completion ${i + 1}` : place, each] as const,
    );
  });
}

const isAbsent = (value: unknown): boolean => value === undefined;

function withoutEmpty(row: unknown): unknown {
  if (typeof row !== 'object' || row === null || Array.isArray(row)) return row;
  return Object.fromEntries(
    Object.entries(row).filter(
      ([column, value]) =>
        value !== null &&
        (column === 'prompt' || column === 'completion' || typeof value !== 'string' || value.trim() !== ''),
    ),
  );
}
