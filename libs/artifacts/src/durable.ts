/** Writing so that a crash leaves the old or the new, never a part. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { hasCode, syncFolder, unlessMissing } from '@rlhf-streams/files';
import type { FileEntry } from './manifest.js';

const ABANDONED_AFTER_MS = 60 * 60 * 1000;

/** Writes a new file, and syncs it where asked to; returns what went into it. */
export async function writeHashed(
  path: string,
  content: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  sync: boolean,
): Promise<FileEntry> {
  await mkdir(dirname(path), { recursive: true });
  const hash = createHash('sha256');
  let size = 0;
  async function* observed() {
    for await (const chunk of content) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  }
  const file = await open(path, 'wx', 0o444);
  try {
    await writeFile(file, observed());
    if (sync) await file.sync();
  } finally {
    await file.close();
  }
  return { sha256: hash.digest('hex'), size };
}

/** Makes the renames into folders durable, and the folders up to `root` themselves. */
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

/** Puts the folder `staged` in the place of `target`, whatever is there. */
export async function replaceFolder(staged: string, target: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const aside = besides(target);
    await unlessMissing(rename(target, aside));
    try {
      await rename(staged, target);
    } catch (error) {
      // Another writer of the same target came between; its content is moved aside in turn.
      if (!hasCode(error, 'ENOTEMPTY', 'EEXIST') || attempt === 10) throw error;
      continue;
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
    return syncFolder(dirname(target));
  }
}

/** A hidden name in the folder of `target`, from where a rename to it is atomic. */
export const besides = (target: string): string =>
  join(dirname(target), `.${basename(target)}.${randomUUID()}.partial`);

/** Removes what a crash left `besides` the target. */
export async function sweepBesides(target: string): Promise<void> {
  for (const name of (await unlessMissing(readdir(dirname(target)))) ?? []) {
    if (!name.startsWith(`.${basename(target)}.`) || !name.endsWith('.partial')) continue;
    const path = join(dirname(target), name);
    const found = await unlessMissing(stat(path));
    if (found && olderThan(found.mtimeMs, ABANDONED_AFTER_MS))
      await rm(path, { recursive: true, force: true });
  }
}

/** Whole milliseconds, as Date.now(): with an age of 0 even what was written just now is old. */
export const olderThan = (mtimeMs: number, ageMs: number): boolean =>
  Date.now() - Math.floor(mtimeMs) >= ageMs;
