/** Checks that the files which runs name can be read, before any of the runs is done. */
import { DataError, loadDataset, readDataset } from '@rlhf-streams/data';
import { namedSources, pathsOf, type RunConfig, type Source, type SourceKind } from '@rlhf-streams/runs';
import { labelledRows } from '@rlhf-streams/sentiment';

/**
 * Reads the first row of data, and the labels of all rows that a gold reward is to be trained on.
 * @throws DataError as the run would, had it begun, naming it
 */
export async function checkSources(configs: readonly RunConfig[]): Promise<void> {
  for (const config of configs) {
    try {
      for (const { kind, source } of namedSources(config)) await checkSource(kind, source);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      throw new DataError(error.code, `run ${config.run} cannot be done: ${error.message}`, { cause: error });
    }
  }
}

async function checkSource(kind: SourceKind, source: Source): Promise<void> {
  const [path] = pathsOf(source);
  if (path === undefined) return;
  if (source.from === 'gold') labelledRows(await loadDataset(path), path);
  else if (kind === 'data') for await (const _ of readDataset(path, { limit: 1 }));
}
