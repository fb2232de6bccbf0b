/** Files and folders that appear whole or not at all, also after a power cut. */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { hasCode, unlessMissing } from './missing.js';
import { type FileContents, syncFolder, writeNewFile } from './writing.js';

/**
 * Writes beside `path` under another name, syncs, renames, and syncs the folder; replaces what was there.
 *
 * @throws the operating system's error (`ENOSPC`, `EACCES`, ...): what was at `path` is then still there, whole.
 */
export async function writeFileAtomically(path: string, contents: FileContents): Promise<void> {
  const temporary = temporaryBeside(path);
  try {
    await writeNewFile(temporary, contents);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(resolve(path)));
}

/**
 * Writes a folder of files beside `path` under another name, syncs, and renames it. What is at `path` stays untouched.
 *
 * @throws the operating system's error: ENOTEMPTY or EEXIST where a folder with files in it is at `path`.
 * @example await writeFolderAtomically('checkpoints/7', new Map([['config.json', '{}']]));
 */
export async function writeFolderAtomically(
  path: string,
  files: ReadonlyMap<string, FileContents>,
): Promise<void> {
  const parent = dirname(resolve(path));
  await mkdir(parent, { recursive: true });
  const temporary = temporaryBeside(path);
  try {
    await mkdir(temporary);
    for (const [name, contents] of files) await writeNewFile(join(temporary, name), contents);
    await syncFolder(temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
  await syncFolder(parent);
}

/** Attempts to put a folder in its place while other processes put theirs there. */
const MOST_REPLACEMENTS = 10;

/**
 * Puts the folder `staged`, of the same file system, in the place of `target`, whatever is there. A reader of `target`
 * finds the old folder, or none for an instant, or the new one.
 */
export async function replaceFolder(staged: string, target: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const aside = temporaryBeside(target);
    await unlessMissing(rename(target, aside));
    try {
      await rename(staged, target);
    } catch (error) {
      // Another process put its folder at `target` in between: that one is moved aside in turn.
      if (!hasCode(error, 'ENOTEMPTY', 'EEXIST') || attempt === MOST_REPLACEMENTS) throw error;
      continue;
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
    return syncFolder(dirname(resolve(target)));
  }
}

/** A hidden name that nobody else has, in the folder of `path`, from where a rename to `path` is atomic. */
export const temporaryBeside = (path: string): string =>
  join(dirname(resolve(path)), `.${basename(resolve(path))}.${randomUUID()}.tmp`);

/** Removes what a crash left at names of `temporaryBeside(path)`, once it is `ageMs` milliseconds old. */
export async function sweepBeside(path: string, ageMs: number): Promise<void> {
  const folder = dirname(resolve(path));
  for (const name of (await unlessMissing(readdir(folder))) ?? []) {
    if (!name.startsWith(`.${basename(resolve(path))}.`) || !name.endsWith('.tmp')) continue;
    const found = await unlessMissing(stat(join(folder, name)));
    if (found && isOlder(found.mtimeMs, ageMs))
      await rm(join(folder, name), { recursive: true, force: true });
  }
}

/**
 * Whether what was modified at `mtimeMs` is at least `ageMs` milliseconds old. It counts in whole milliseconds, as
 * Date.now() does: with an age of 0 even what was written just now is old.
 */
export const isOlder = (mtimeMs: number, ageMs: number): boolean => Date.now() - Math.floor(mtimeMs) >= ageMs;
