/** The folder of this machine that artifacts come to. Nothing in it is needed: all can be fetched again. */
import { rm, stat, utimes } from 'node:fs/promises';
import { unlessMissing } from '@rlhf-streams/files';
import { isCorrupt } from '../errors.js';
import { readManifest, verifyFile } from '../filesystem/blobs.js';
import { collectGarbage, sweep } from '../filesystem/collect.js';
import type { Layout } from '../filesystem/layout.js';
import type { FileEntry, Manifest } from '../manifest.js';

/** The manifest; undefined where there is none, or a damaged one. */
export async function wholeManifest(layout: Layout, sha256: string): Promise<Manifest | undefined> {
  try {
    return await readManifest(layout, sha256);
  } catch (error) {
    if (isCorrupt(error)) return undefined;
    throw error;
  }
}

/** Marks a manifest as used now; false when it is not here. */
export const markManifestUsed = (layout: Layout, sha256: string): Promise<boolean> =>
  markUsed(layout.manifest(sha256));

/** Marks an artifact as used now; false when it is not here. */
export async function markArtifactUsed(layout: Layout, sha256: string): Promise<boolean> {
  return (await markUsed(layout.manifest(sha256))) && (await markUsed(layout.folder(sha256)));
}

/** Whether the file's blob is here and whole; it is marked as used now. */
export async function hasWholeBlob(
  layout: Layout,
  [name, entry]: readonly [name: string, FileEntry],
  signal: AbortSignal,
): Promise<boolean> {
  const path = layout.blob(entry.sha256);
  if (!(await markUsed(path))) return false;
  try {
    await verifyFile(path, name, entry, signal);
    return true;
  } catch (error) {
    if (isCorrupt(error)) return false;
    throw error;
  }
}

async function markUsed(path: string): Promise<boolean> {
  const now = new Date();
  return (await unlessMissing(utimes(path, now, now).then(() => true))) ?? false;
}

/** Removes what is not live and was not used for `graceMs`. */
export async function collectCache(
  layout: Layout,
  live: ReadonlySet<string>,
  graceMs: number,
): Promise<void> {
  for (const sha256 of await layout.list('manifest')) {
    if (!(await wholeManifest(layout, sha256))) await rm(layout.manifest(sha256), { force: true });
  }
  await collectGarbage(layout, live, { graceMs });
}

/**
 * Removes what crashes left behind, and the artifacts that were not used the longest, until the blobs' bytes are below a
 * limit; nothing that is younger than `keepMs`.
 */
export async function trimCache(layout: Layout, limitBytes: number, keepMs: number): Promise<void> {
  await sweep(layout.temporary, keepMs, () => true);
  if ((await bytesOfBlobs(layout)) <= limitBytes) return;
  const artifacts: { sha256: string; used: number }[] = [];
  for (const sha256 of await layout.list('manifest')) {
    const found = await unlessMissing(stat(layout.manifest(sha256)));
    if (found) artifacts.push({ sha256, used: found.mtimeMs });
  }
  artifacts.sort((a, b) => b.used - a.used);
  const kept = new Set<string>();
  const blobs = new Map<string, number>();
  let bytes = 0;
  for (const { sha256 } of artifacts) {
    const manifest = await wholeManifest(layout, sha256);
    for (const entry of manifest?.values() ?? []) {
      if (!blobs.has(entry.sha256)) bytes += entry.size;
      blobs.set(entry.sha256, entry.size);
    }
    if (bytes > limitBytes) break;
    kept.add(sha256);
  }
  await collectCache(layout, kept, keepMs);
}

async function bytesOfBlobs(layout: Layout): Promise<number> {
  let bytes = 0;
  for (const sha256 of await layout.list('blob')) {
    bytes += (await unlessMissing(stat(layout.blob(sha256))))?.size ?? 0;
  }
  return bytes;
}
