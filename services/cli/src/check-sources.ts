/** Whether the files that runs name can be read, found before any of the runs is done. */
import { DataError, loadDataset, readDataset } from '@rlhf-streams/data';
import { type NamedSource, namedSources, type RunConfig } from '@rlhf-streams/runs';
import { labelledRows } from '@rlhf-streams/sentiment';

const GOLD = 'gold:';
const NO_FILE = /^(bundled$|run:|feedback:)/;

/**
 * Looks at the first row of data, and at the labels of all rows that a gold reward is to be trained on.
 * @throws DataError as the run would, had it begun, naming it
 */
export async function checkSources(configs: readonly RunConfig[]): Promise<void> {
  for (const config of configs) {
    try {
      for (const named of namedSources(config)) await checkSource(named);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      throw new DataError(error.code, `run ${config.run} cannot be done: ${error.message}`, { cause: error });
    }
  }
}

async function checkSource({ kind, source }: NamedSource): Promise<void> {
  const gold = kind === 'scorer' && source.startsWith(GOLD);
  const path = gold ? source.slice(GOLD.length) : source;
  if ((kind !== 'data' && !gold) || NO_FILE.test(path)) return;
  if (gold) labelledRows(await loadDataset(path), path);
  else for await (const _ of readDataset(path, { limit: 1 }));
}
