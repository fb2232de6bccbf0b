/** The folder that a model is exported to: nothing in it that is not a model's is ever lost. */
import { lstat, readdir, realpath, rm, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import {
  type FileContents,
  replaceFolder,
  temporaryBeside,
  unlessMissing,
  writeFolderAtomically,
} from '@rlhf-streams/files';
import { refused } from './models.js';

/**
 * Where to write: the folder itself where `directory` is a link to one.
 * @param files names of the model's files, with `/`
 * @throws CliError CLI_EXPORT_REFUSED for a folder that must not be replaced.
 */
export async function checkedTarget(
  directory: string,
  files: readonly string[],
  force: boolean,
): Promise<string> {
  const target = resolve(directory);
  const found = await unlessMissing(stat(target)).catch((error) => {
    throw refused(`expected ${target} to be a folder or nothing: ${(error as Error).message}`, error);
  });
  if (!found) {
    const link = await lstat(target).catch(() => undefined);
    if (link) throw refused(`expected ${target} to be a folder or nothing, got a link to nothing`);
    return target;
  }
  if (!found.isDirectory()) throw refused(`expected ${target} to be a folder or nothing, got a file`);
  const folder = await realpath(target);
  if (isWithin(await realpath(process.cwd()), folder)) {
    throw refused(
      `expected a folder of the model's own, got ${target}, where this command runs: name one in it`,
    );
  }
  if ((await readdir(folder)).length === 0) return folder;
  const foreign = await othersIn(folder, files);
  if (foreign.length > 0) {
    const more = foreign.length > MOST_NAMED ? ` and ${foreign.length - MOST_NAMED} more` : '';
    const some = foreign.slice(0, MOST_NAMED).join(', ');
    throw refused(
      `expected ${target} to be empty, got ${some}${more}, which would be lost: name another folder`,
    );
  }
  if (!force) throw refused(`expected ${target} to be empty, got a model: --force replaces it`);
  return folder;
}

const MOST_NAMED = 5;
/** Files that one export has and another of the same model does not: an adapter alone, shards. */
const OF_MODELS =
  /^(config\.json|model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json|adapter_(config\.json|model\.safetensors))$/;

/** What a folder has beside files of these names, folders with a `/`. */
async function othersIn(folder: string, files: readonly string[], prefix = ''): Promise<string[]> {
  const entries = await readdir(join(folder, prefix), { withFileTypes: true });
  const others = await Promise.all(
    entries.map(async (entry) => {
      const name = `${prefix}${entry.name}${entry.isDirectory() ? '/' : ''}`;
      if (files.includes(name) || OF_MODELS.test(name)) return [];
      const isOurs = entry.isDirectory() && files.some((file) => file.startsWith(name));
      return isOurs ? othersIn(folder, files, name) : [name];
    }),
  );
  return others.flat().sort();
}

const isWithin = (path: string, folder: string): boolean => {
  const way = relative(folder, path);
  return !way.startsWith('..') && !isAbsolute(way);
};

/** Puts a folder of these files in the place of what is there, if anything is. */
export async function putFolder(path: string, files: ReadonlyMap<string, FileContents>): Promise<void> {
  const staged = temporaryBeside(path);
  try {
    await writeFolderAtomically(staged, files);
    await replaceFolder(staged, path);
  } finally {
    await rm(staged, { recursive: true, force: true });
  }
}
