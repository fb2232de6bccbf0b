import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isOlder, unlessMissing } from '@rlhf-streams/files';
import { parseManifest } from '../manifest.js';
import type { Collected, CollectOptions } from '../port.js';
import type { Layout } from './layout.js';

const HOUR_MS = 60 * 60 * 1000;

/**
 * Mark and sweep. What stays is decided before anything goes; manifests go before blobs, so that an interrupted
 * collection leaves blobs without a name and never a name without its blobs.
 */
export async function collectGarbage(
  layout: Layout,
  live: ReadonlySet<string>,
  { graceMs = HOUR_MS, dryRun = false }: CollectOptions,
): Promise<Collected> {
  const doomed: string[] = [];
  const named = new Set<string>();
  for (const sha256 of await layout.list('manifest')) {
    const path = layout.manifest(sha256);
    const found = await unlessMissing(stat(path));
    if (!found) continue;
    if (!live.has(sha256) && isOlder(found.mtimeMs, graceMs)) {
      doomed.push(sha256);
      continue;
    }
    const bytes = await unlessMissing(readFile(path));
    if (bytes) for (const entry of parseManifest(bytes, sha256).values()) named.add(entry.sha256);
  }

  await mkdir(layout.temporary, { recursive: true });
  let artifacts = 0;
  for (const sha256 of doomed) {
    if ((await removeIfOld(layout, layout.manifest(sha256), graceMs, dryRun)) !== undefined) artifacts++;
  }
  let blobs = 0;
  let bytes = 0;
  for (const sha256 of await layout.list('blob')) {
    const size = named.has(sha256)
      ? undefined
      : await removeIfOld(layout, layout.blob(sha256), graceMs, dryRun);
    if (size === undefined) continue;
    blobs++;
    bytes += size;
  }
  if (dryRun) return { artifacts, blobs, bytes };
  const kept = new Set(await layout.list('manifest'));
  await sweep(layout.folders, graceMs, (name) => !kept.has(name));
  await sweep(layout.temporary, graceMs, () => true);
  return { artifacts, blobs, bytes };
}

/**
 * Removes a file, unless it is a dry run, and returns its size, unless it is young. It is moved away before its age is
 * believed: a concurrent put may replace it between a look and a removal.
 */
async function removeIfOld(
  layout: Layout,
  path: string,
  graceMs: number,
  dryRun: boolean,
): Promise<number | undefined> {
  const before = await unlessMissing(stat(path));
  if (!before || !isOlder(before.mtimeMs, graceMs)) return undefined;
  if (dryRun) return before.size;
  const aside = layout.newTemporary();
  if ((await unlessMissing(rename(path, aside).then(() => true))) === undefined) return undefined;
  const moved = await unlessMissing(stat(aside));
  if (moved && !isOlder(moved.mtimeMs, graceMs)) {
    await rename(aside, path);
    return undefined;
  }
  await rm(aside, { force: true });
  return before.size;
}

/** Removes what in a folder is old and not needed. */
export async function sweep(
  folder: string,
  graceMs: number,
  unneeded: (name: string) => boolean,
): Promise<void> {
  for (const name of (await unlessMissing(readdir(folder))) ?? []) {
    const path = join(folder, name);
    const found = unneeded(name) ? await unlessMissing(stat(path)) : undefined;
    if (found && isOlder(found.mtimeMs, graceMs)) await rm(path, { recursive: true, force: true });
  }
}
