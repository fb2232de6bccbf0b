/** The data files of a folder, as datasets lie on Hugging Face's hub: `data/train-00000-of-00002.parquet`, `train.jsonl`. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError } from './errors.js';

interface DataFile {
  readonly path: string;
  /** The part of the dataset that the file's name says it is of. */
  readonly split?: string;
}

const EXTENSION = /\.(?:jsonl|ndjson|json|csv|tsv|parquet)(?:\.gz)?$/i;
/** What a hub dataset has besides its rows. */
const ABOUT = /^(?:dataset_infos?|dataset_dict|state|config|metadata)\.json$/i;

const SHARD = /^(.+)-\d{5,}-of-\d{5,}$/;
const KEYWORDS: Readonly<Record<string, string>> = {
  train: 'train',
  training: 'train',
  test: 'test',
  testing: 'test',
  eval: 'test',
  evaluation: 'test',
  validation: 'validation',
  valid: 'validation',
  val: 'validation',
  dev: 'validation',
};
const KEYWORD = new RegExp(`(?:^|[-_./ 0-9])(${Object.keys(KEYWORDS).join('|')})(?=[-_./ 0-9]|$)`, 'i');

/** The split of a file by its name, else by the names of the folders that it lies in. */
function splitOf(path: string): string | undefined {
  const [name, ...folders] = path.split(/[\\/]/).toReversed();
  const stem = name!.replace(EXTENSION, '');
  const shard = SHARD.exec(stem)?.[1];
  if (shard !== undefined) return shard;
  for (const part of [stem, ...folders]) {
    const keyword = KEYWORD.exec(part)?.[1];
    if (keyword !== undefined) return KEYWORDS[keyword.toLowerCase()];
  }
  return undefined;
}

/** Folders within folders that are looked into: of configurations, of splits. */
const DEPTH = 2;

/** The data files in a folder and the folders in it, in the order of their paths. */
export async function dataFilesIn(folder: string): Promise<DataFile[]> {
  const paths: string[] = [];
  const visit = async (within: string, depth: number): Promise<void> => {
    for (const entry of await readdir(join(folder, within), { withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue;
      const path = join(within, entry.name);
      if (entry.isDirectory()) {
        if (depth < DEPTH) await visit(path, depth + 1);
      } else if (EXTENSION.test(entry.name) && !ABOUT.test(entry.name)) paths.push(path);
    }
  };
  await visit('', 0);
  return paths
    .toSorted((a, b) => (a < b ? -1 : Number(a > b)))
    .map((path) => {
      const split = splitOf(path);
      return { path: join(folder, path), ...(split !== undefined && { split }) };
    });
}

/**
 * The files of a dataset that are trained on: those of split `train`, of the only split there is, or all where their names
 * tell of none.
 * @throws DataError DATA_SPLIT_NEEDED, DATA_UNKNOWN_FORMAT for files of several kinds
 */
export function trainOf(folder: string, files: readonly DataFile[]): string[] {
  const named = [...new Set(files.flatMap(({ split }) => split ?? []))];
  const [only] = named.includes('train') ? ['train'] : named;
  const chosen = files.filter(({ split }) => split === only).map(({ path }) => path);
  if (only !== 'train' && (named.length > 1 || (only !== undefined && chosen.length < files.length)))
    throw splitNeeded(folder, named);
  const kinds = new Set(chosen.map((path) => EXTENSION.exec(path)![0].toLowerCase()));
  if (kinds.size === 1) return chosen;
  throw new DataError(
    'DATA_UNKNOWN_FORMAT',
    `${folder}: expected data files of one kind, got ${[...kinds].join(', ')}; name those to be read, as ${join(folder, `*${[...kinds][0]}`)}`,
  );
}

export function splitNeeded(folder: string, splits: readonly string[]): DataError {
  return new DataError(
    'DATA_SPLIT_NEEDED',
    `${folder}: expected a split named train, got ${splits.join(', ')}; name one of them: ${join(folder, splits[0]!)}`,
  );
}
