/** Writing so that it lasts. */
import { type FileHandle, open, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** The contents of a file: text, or pieces of bytes in their order. */
export type FileContents = string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface WriteOptions {
  /** Whether the contents must outlive a power cut when the call resolves. Default true. */
  readonly sync?: boolean;
  /** Permissions of the file. Default 0o666, less the umask. */
  readonly mode?: number;
}

/**
 * Writes a file where none is. Its name lasts once its folder is synced, by `syncFolder` or `syncFolders`.
 *
 * @throws the operating system's error: EEXIST where something is at `path`.
 */
export async function writeNewFile(
  path: string,
  contents: FileContents,
  { sync = true, mode = 0o666 }: WriteOptions = {},
): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await writeFile(file, contents);
    if (sync) await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the names in a folder durable: files that were made, renamed or removed there. */
export async function syncFolder(path: string): Promise<void> {
  // Windows cannot open a folder, and needs no sync for a rename to last.
  if (process.platform === 'win32') return;
  await withFile(path, 'r', (folder) => folder.sync());
}

/** Makes the names in `folders` durable, and those of the folders themselves, up to `root`, which holds them all. */
export async function syncFolders(folders: Iterable<string>, root: string): Promise<void> {
  const all = new Set<string>();
  for (let folder of folders) {
    for (; !all.has(folder); folder = dirname(folder)) {
      all.add(folder);
      if (folder === root) break;
    }
  }
  for (const folder of all) await syncFolder(folder);
}

/** Opens a file, hands it over, and closes it whatever happens. */
export async function withFile<T>(
  path: string,
  flags: string,
  use: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const file = await open(path, flags);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
