import { DataError, type Dataset, type LabelledRow } from '@rlhf-streams/data';

/**
 * The rows of a dataset that a classifier of positive and negative text can be trained on.
 *
 * @param source the file's name, for messages
 * @throws DATA_NEEDS_LABELS for rows without labels, or with one label only
 */
export function labelledRows(dataset: Dataset, source: string): LabelledRow[] {
  if (dataset.kind !== 'labelled') {
    throw new DataError(
      'DATA_NEEDS_LABELS',
      `${source}: expected rows of {text, label}, where 1 is positive and 0 negative, got ${dataset.kind} rows without labels`,
    );
  }
  const positive = dataset.rows.reduce((sum, { label }) => sum + label, 0);
  if (positive === 0 || positive === dataset.rows.length) {
    throw new DataError(
      'DATA_NEEDS_LABELS',
      `${source}: expected texts of both labels, got ${dataset.rows.length} rows that are all ${positive === 0 ? 'negative (0)' : 'positive (1)'}`,
    );
  }
  return dataset.rows;
}
