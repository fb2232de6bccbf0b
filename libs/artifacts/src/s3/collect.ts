import type { Manifest } from '../manifest.js';
import type { Collected, CollectOptions } from '../port.js';
import type { Bucket, StoredObject } from './bucket.js';
import { allGenerations } from './generations.js';
import { inParallel } from './in-parallel.js';

const PARALLEL_READS = 8;

/**
 * Mark and sweep over a bucket. It never removes what a live reference names, nor what a concurrent put relies on.
 * That rests on:
 * - listings that show what was written before they began, as S3 and its kin have;
 * - a put that relies on objects of at most a quarter of the grace period, renews others, and gives up after half of
 *   it, so that its manifest is written while those objects are younger than the grace period;
 * - objects that are never written twice: what is deleted here is the old generation, never its renewal;
 * - ages by the server's clock, within bounds that the dates of its answers give; a quarter of the grace period is to
 *   spare.
 *
 * All is decided before anything goes, and manifests go before blobs: an interrupted collection leaves blobs without
 * a name and never a name without its blobs. Where a needed object has several generations, the newest stays.
 *
 * @param graceMs grace period of manifests; 0 says that nobody puts meanwhile, and then holds for blobs and uploads too
 * @param putGraceMs grace period of blobs and unfinished uploads, which puts rely on
 * @param manifestOf the manifest of an artifact that stays; undefined when it was removed meanwhile
 */
export async function collectBucket(
  bucket: Bucket,
  live: ReadonlySet<string>,
  { graceMs, putGraceMs, dryRun }: Required<CollectOptions> & { readonly putGraceMs: number },
  manifestOf: (sha256: string, signal: AbortSignal) => Promise<Manifest | undefined>,
  signal: AbortSignal,
): Promise<Collected> {
  const begun = Date.now();
  const manifests = await allGenerations(bucket, 'manifests', signal);
  const atLeast =
    (ageMs: number) =>
    (modified: number): boolean =>
      graceMs === 0 || bucket.clock.leastAge(modified, begun) >= ageMs;
  const isOld = atLeast(graceMs);
  const mayGo = atLeast(Math.max(graceMs, putGraceMs));

  const doomed: StoredObject[] = [];
  const staying: string[] = [];
  let artifacts = 0;
  for (const [sha256, generations] of manifests) {
    const [newest, ...older] = generations;
    doomed.push(...older.filter(({ modified }) => isOld(modified)));
    if (live.has(sha256) || !isOld(newest!.modified)) {
      staying.push(sha256);
    } else {
      doomed.push(newest!);
      artifacts++;
    }
  }
  const named = new Set<string>();
  await inParallel(staying, PARALLEL_READS, signal, async (sha256, either) => {
    const manifest = await manifestOf(sha256, either);
    for (const entry of manifest?.values() ?? []) named.add(entry.sha256);
  });

  const doomedBlobs: StoredObject[] = [];
  for (const [sha256, generations] of await allGenerations(bucket, 'blobs', signal)) {
    const unneeded = named.has(sha256) ? generations.slice(1) : generations;
    doomedBlobs.push(...unneeded.filter(({ modified }) => mayGo(modified)));
  }
  const doomedUploads: { key: string; id: string }[] = [];
  for await (const { key, id, initiated } of bucket.unfinishedUploads(signal)) {
    if (mayGo(initiated)) doomedUploads.push({ key, id });
  }

  if (!dryRun) {
    await bucket.remove(keysOf(doomed), signal);
    await bucket.remove(keysOf(doomedBlobs), signal);
    for (const { key, id } of doomedUploads) await bucket.abortUpload(key, id, signal);
  }
  return {
    artifacts,
    blobs: doomedBlobs.length,
    bytes: doomedBlobs.reduce((sum, { size }) => sum + size, 0),
  };
}

const keysOf = (objects: readonly StoredObject[]): string[] => objects.map(({ key }) => key);
