/** Files and folders that appear whole or not at all, also after a power cut. */
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

/** The contents of a file: text, or pieces of bytes in their order. */
export type FileContents = string | readonly Uint8Array[];

/** Writes beside `path` under another name, syncs, renames, and syncs the folder; replaces what was there. */
export async function writeFileAtomically(path: string, contents: FileContents): Promise<void> {
  const temporary = temporaryName(path);
  try {
    await writeSynced(temporary, contents);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(resolve(path)));
}

/**
 * Writes a folder of files beside `path` under another name, syncs, and renames it. What is at `path` stays untouched:
 * a folder with files in it makes the rename fail with ENOTEMPTY or EEXIST.
 */
export async function writeFolderAtomically(
  path: string,
  files: ReadonlyMap<string, FileContents>,
): Promise<void> {
  const parent = dirname(resolve(path));
  await mkdir(parent, { recursive: true });
  const temporary = temporaryName(path);
  try {
    await mkdir(temporary);
    for (const [name, contents] of files) await writeSynced(join(temporary, name), contents);
    await syncFolder(temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
  await syncFolder(parent);
}

function temporaryName(path: string): string {
  return join(dirname(resolve(path)), `.${basename(resolve(path))}.${randomUUID()}.tmp`);
}

async function writeSynced(path: string, contents: FileContents): Promise<void> {
  await withFile(path, 'wx', async (file) => {
    await writeFile(file, contents);
    await file.sync();
  });
}

/** Makes the renames into a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  // Windows cannot open a folder, and needs no sync for a rename to last.
  if (process.platform === 'win32') return;
  await withFile(path, 'r', (folder) => folder.sync());
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
