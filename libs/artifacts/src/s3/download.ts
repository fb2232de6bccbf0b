/** Downloads from the bucket to this machine; nothing is trusted before its hash is verified. */
import { createHash } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ArtifactError, isCorrupt } from '../errors.js';
import { place } from '../filesystem/blobs.js';
import type { Layout } from '../filesystem/layout.js';
import { type FileEntry, parseManifest } from '../manifest.js';
import type { Bucket, StoredObject } from './bucket.js';
import { generationsOf, type Kind } from './generations.js';
import { streamObject } from './stream.js';

/** Between a listing and a read, a collection may remove an old generation that has a newer one. */
const LISTINGS = 3;
const MAX_MANIFEST_BYTES = 64 << 20;

/**
 * The manifest of an artifact, as bytes; undefined where there is none.
 * @throws ArtifactError ARTIFACT_CORRUPT.
 */
export function downloadManifest(
  bucket: Bucket,
  sha256: string,
  attempts: number,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  return firstWhole(bucket, 'manifests', sha256, signal, async (object) => {
    if (object.size > MAX_MANIFEST_BYTES)
      throw new ArtifactError(
        'ARTIFACT_CORRUPT',
        `expected a manifest at ${object.key} of ${bucket.url}, got ${object.size} bytes: delete that object`,
      );
    const chunks: Buffer[] = [];
    const found = await streamObject(bucket, object, attempts, signal, (chunk) => void chunks.push(chunk));
    if (found === undefined) return undefined;
    const bytes = Buffer.concat(chunks);
    parseManifest(bytes, sha256);
    return bytes;
  });
}

/**
 * Makes a file of a manifest a blob of the layout.
 * @throws ArtifactError ARTIFACT_CORRUPT when the bucket has no whole object of it.
 */
export async function downloadBlob(
  bucket: Bucket,
  layout: Layout,
  [name, entry]: readonly [name: string, FileEntry],
  attempts: number,
  signal: AbortSignal,
): Promise<void> {
  const temporary = layout.newTemporary();
  await mkdir(dirname(temporary), { recursive: true });
  const what = `file ${name} with sha256 ${entry.sha256}`;
  try {
    const found = await firstWhole(bucket, 'blobs', entry.sha256, signal, async (object) => {
      const corrupt = (got: string) =>
        new ArtifactError(
          'ARTIFACT_CORRUPT',
          `expected ${what} at ${object.key} of ${bucket.url}, got ${got}: ` +
            'delete that object, and put the artifact again',
        );
      if (object.size !== entry.size) throw corrupt(`${object.size} bytes instead of ${entry.size}`);
      await rm(temporary, { force: true });
      const file = await open(temporary, 'wx', 0o444);
      try {
        const hash = createHash('sha256');
        const size = await streamObject(bucket, object, attempts, signal, async (chunk) => {
          hash.update(chunk);
          await file.writeFile(chunk);
        });
        if (size === undefined) return undefined;
        const actual = hash.digest('hex');
        if (actual !== entry.sha256) throw corrupt(`${size} bytes with sha256 ${actual}`);
        return true;
      } finally {
        await file.close();
      }
    });
    if (!found)
      throw new ArtifactError(
        'ARTIFACT_CORRUPT',
        `expected ${what} in ${bucket.url}, got no object: put the artifact again`,
      );
    await place(temporary, layout.blob(entry.sha256));
  } finally {
    await rm(temporary, { force: true });
  }
}

/**
 * The result of `read` for the first generation that is whole; undefined where there is no generation. `read` returns
 * undefined for a generation that is gone.
 * @throws ArtifactError ARTIFACT_CORRUPT when none is whole.
 */
async function firstWhole<T>(
  bucket: Bucket,
  kind: Kind,
  sha256: string,
  signal: AbortSignal,
  read: (generation: StoredObject) => Promise<T | undefined>,
): Promise<T | undefined> {
  for (let listing = 1; ; listing++) {
    let damage: unknown;
    let gone = false;
    for (const generation of await generationsOf(bucket, kind, sha256, signal)) {
      try {
        const found = await read(generation);
        if (found !== undefined) return found;
        gone = true;
      } catch (error) {
        if (!isCorrupt(error)) throw error;
        damage ??= error;
      }
    }
    if (gone && listing < LISTINGS) continue;
    if (damage) throw damage;
    return undefined;
  }
}
