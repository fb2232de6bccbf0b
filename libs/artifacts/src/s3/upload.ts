/** Uploads a file of the cache to the bucket, in bounded memory. */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { ArtifactError } from '../errors.js';
import { type FileEntry, sha256Of } from '../manifest.js';
import type { Bucket, Part } from './bucket.js';
import { generationsOf, newGeneration } from './generations.js';
import { inParallel } from './in-parallel.js';

const PARALLEL_PARTS = 4;
/** Most parts of an upload. */
const MAX_PARTS = 10_000;
const ABORT_TIMEOUT_MS = 30_000;

/**
 * Writes a new generation of a blob; larger files in parts. What is interrupted is aborted, so that nothing stays.
 * @throws ArtifactError ARTIFACT_CORRUPT when the file is not what `entry` says.
 */
export async function uploadBlob(
  bucket: Bucket,
  path: string,
  entry: FileEntry,
  partBytes: number,
  signal: AbortSignal,
): Promise<void> {
  const key = newGeneration('blobs', entry.sha256);
  if (entry.size > partBytes) return uploadInParts(bucket, key, path, entry, partBytes, signal);
  const bytes = await readFile(path);
  checkRead(path, sha256Of(bytes), entry);
  await bucket.write(key, bytes, signal);
}

async function uploadInParts(
  bucket: Bucket,
  key: string,
  path: string,
  entry: FileEntry,
  partBytes: number,
  signal: AbortSignal,
): Promise<void> {
  const size = Math.max(partBytes, Math.ceil(entry.size / MAX_PARTS));
  const hash = createHash('sha256');
  const parts: Part[] = [];
  const id = await bucket.beginUpload(key, signal);
  const file = await open(path);
  try {
    await inParallel(pieces(file, size, hash), PARALLEL_PARTS, signal, async ({ number, bytes }, either) => {
      parts.push(await bucket.uploadPart(key, id, number, bytes, either));
    });
    checkRead(path, hash.digest('hex'), entry);
    const complete = await bucket.completeUpload(key, id, parts, signal);
    if (!complete) await checkThere(bucket, key, entry, signal);
  } catch (error) {
    // Parts that cannot be removed now are removed by a collection.
    await bucket.abortUpload(key, id, AbortSignal.timeout(ABORT_TIMEOUT_MS)).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
}

/** The file from its beginning, piece by piece, all of one size but the last. */
async function* pieces(file: FileHandle, size: number, hash: Hash) {
  for (let number = 1, at = 0; ; number++) {
    const buffer = Buffer.allocUnsafe(size);
    let filled = 0;
    while (filled < size) {
      const { bytesRead } = await file.read(buffer, filled, size - filled, at + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    if (filled === 0) return;
    at += filled;
    const bytes = buffer.subarray(0, filled);
    hash.update(bytes);
    yield { number, bytes };
  }
}

/** An upload that is unknown when it is completed was completed by an attempt whose answer got lost, or collected. */
async function checkThere(
  bucket: Bucket,
  key: string,
  { sha256, size }: FileEntry,
  signal: AbortSignal,
): Promise<void> {
  const generations = await generationsOf(bucket, 'blobs', sha256, signal);
  if (generations.some((generation) => generation.key === key && generation.size === size)) return;
  throw new ArtifactError(
    'ARTIFACT_STORE_UNAVAILABLE',
    `expected the upload of ${key} to ${bucket.url} to be there still: something removed it; put the artifact again`,
  );
}

function checkRead(path: string, actual: string, { sha256 }: FileEntry): void {
  if (actual === sha256) return;
  throw new ArtifactError(
    'ARTIFACT_CORRUPT',
    `expected ${path} to have sha256 ${sha256} still, got ${actual}: put the artifact again`,
  );
}
