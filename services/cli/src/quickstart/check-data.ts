/** Whether the whole recipe can be done on somebody's data, found before any of it is. */
import { type Dataset, loadDataset, promptOf } from '@rlhf-streams/data';
import { CliError } from '../errors.js';

/** A word of one text alone gets no weight: from fewer texts than this a gold reward learns next to nothing. */
const LEAST_OF_A_LABEL = 10;
/** One prompt in ten is held out for the evaluation, which needs two for a confidence interval. */
const LEAST_PROMPTS = 20;

/**
 * @throws DataError for a file that cannot be read; CliError CLI_DATA_UNFIT when no gold reward can be trained on its
 *   rows, or the policies could not be evaluated on them.
 */
export async function checkData(data: string): Promise<void> {
  if (data !== 'bundled') checkRows(data, await loadDataset(data));
}

function checkRows(data: string, dataset: Dataset): void {
  if (dataset.kind !== 'labelled')
    throw unfit(`expected ${data} to hold rows of {text, label}, label 0 or 1, got ${dataset.kind} rows`);
  const positive = dataset.rows.filter(({ label }) => label === 1).length;
  const negative = dataset.rows.length - positive;
  if (Math.min(positive, negative) < LEAST_OF_A_LABEL)
    throw unfit(
      `expected ${data} to hold at least ${LEAST_OF_A_LABEL} texts of each label, for the gold reward to learn from, got ${positive} of label 1 and ${negative} of label 0`,
    );
  const prompts = new Set(dataset.rows.flatMap(({ text }) => promptOf(text) ?? [])).size;
  if (prompts < LEAST_PROMPTS)
    throw unfit(
      `expected ${data} to give at least ${LEAST_PROMPTS} prompts, the first 3 words of texts that have 5 or more, got ${prompts} that differ`,
    );
}

const unfit = (message: string) => new CliError('CLI_DATA_UNFIT', message);
