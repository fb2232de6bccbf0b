/** Artifacts in a bucket, for several machines. Not part of the package's main entry: it loads the AWS SDK. */
import { rm } from 'node:fs/promises';
import { type Contents, contentsOfFiles, contentsOfFolder } from '../contents.js';
import { ArtifactError } from '../errors.js';
import { writeBlobs, writeManifest } from '../filesystem/blobs.js';
import { openFolders } from '../filesystem/folders.js';
import { layoutOf } from '../filesystem/layout.js';
import {
  checkRef,
  type FileEntry,
  hashesOf,
  type Manifest,
  parseManifest,
  refOf,
  serialiseManifest,
} from '../manifest.js';
import type { ArtifactRef, ArtifactStore, PutOptions } from '../port.js';
import { limited } from '../time-limit.js';
import { openBucket } from './bucket.js';
import {
  collectCache,
  hasWholeBlob,
  markArtifactUsed,
  markManifestUsed,
  trimCache,
  wholeManifest,
} from './cache.js';
import { collectBucket } from './collect.js';
import { downloadBlob, downloadManifest } from './download.js';
import { generationsOf, newGeneration } from './generations.js';
import { inParallel } from './in-parallel.js';
import { type S3Options, settle } from './options.js';
import { uploadBlob } from './upload.js';

export type { S3Options } from './options.js';

/** Files fetched, or uploaded whole, at a time. */
const PARALLEL_FILES = 4;

/**
 * Artifacts in a bucket of S3 or of a store that speaks its protocol. References have the uri `artifact:<sha256>`, and
 * are the same as those of every other adapter for the same files. What is fetched and put goes through a folder of
 * this machine, `cacheDirectory`; what is there already is not fetched again.
 *
 * Throws, besides what the port names, ArtifactError ARTIFACT_STORE_UNAVAILABLE, ARTIFACT_STORE_REFUSED, and
 * ARTIFACT_TIMEOUT from a put that takes longer than half of `graceMs`.
 *
 * @throws ArtifactError ARTIFACT_BAD_OPTION.
 */
export function s3Artifacts(options: S3Options): ArtifactStore {
  const settled = settle(options);
  const { cacheBytes, cacheKeepMs, graceMs, maxAttempts, partBytes } = settled;
  const bucket = openBucket(settled);
  const cache = layoutOf(settled.cacheDirectory);

  const trim = async () => {
    if (cacheBytes !== undefined) await trimCache(cache, cacheBytes, cacheKeepMs);
  };

  const put = (contents: Contents, what: string, stop: PutOptions = {}): Promise<ArtifactRef> =>
    limited({ ...stop, timeoutMs: graceMs / 2 }, `${what} to be put into ${bucket.url}`, async (signal) => {
      const begun = Date.now();
      const manifest = await writeBlobs(cache, contents, 'expendable', signal);
      const missing = await withoutYoung(manifest, signal);
      const small = missing.filter(({ size }) => size <= partBytes);
      const large = missing.filter(({ size }) => size > partBytes);
      const upload = (entry: FileEntry, either: AbortSignal) =>
        uploadBlob(bucket, cache.blob(entry.sha256), entry, partBytes, either);
      await inParallel(small, PARALLEL_FILES, signal, upload);
      for (const entry of large) await upload(entry, signal);
      // A machine that slept has timers that did not run.
      if (Date.now() - begun > graceMs / 2)
        throw new ArtifactError('ARTIFACT_TIMEOUT', `expected ${what} to be put within ${graceMs / 2} ms`);
      // The manifest comes last, and appears whole: from here on the artifact exists.
      const bytes = serialiseManifest(manifest);
      const ref = refOf(bytes);
      await bucket.write(newGeneration('manifests', ref.sha256), bytes, signal);
      await writeManifest(cache, bytes, ref.sha256, 'expendable');
      await trim();
      return ref;
    });

  /** The blobs to upload: those that the bucket lacks, or that a collection might remove before the manifest is written. */
  const withoutYoung = async (manifest: Manifest, signal: AbortSignal): Promise<FileEntry[]> => {
    const wanted = new Map([...manifest.values()].map((entry) => [entry.sha256, entry]));
    await inParallel([...wanted.values()], PARALLEL_FILES, signal, async ({ sha256, size }, either) => {
      const generations = await generationsOf(bucket, 'blobs', sha256, either);
      if (
        generations.some((found) => found.size === size && bucket.clock.mostAge(found.modified) < graceMs / 4)
      )
        wanted.delete(sha256);
    });
    return [...wanted.values()];
  };

  const folders = openFolders(cache, {
    manifest: async (sha256, signal) => {
      const cached = (await markManifestUsed(cache, sha256)) && (await wholeManifest(cache, sha256));
      if (cached) return cached;
      const bytes = await downloadManifest(bucket, sha256, maxAttempts, signal);
      if (!bytes)
        throw new ArtifactError(
          'ARTIFACT_NOT_FOUND',
          `expected artifact ${sha256} in ${bucket.url}: it was never put there, or was collected`,
        );
      await writeManifest(cache, bytes, sha256, 'expendable');
      return parseManifest(bytes, sha256);
    },
    provide: async (files, signal) => {
      const distinct = new Map([...files].map((file) => [file[1].sha256, file]));
      let fetched = false;
      await inParallel(distinct.values(), PARALLEL_FILES, signal, async (file, either) => {
        if (await hasWholeBlob(cache, file, either)) return;
        await downloadBlob(bucket, cache, file, maxAttempts, either);
        fetched = true;
      });
      if (fetched) await trim();
    },
    stillThere: (sha256) => markArtifactUsed(cache, sha256),
  });

  return {
    putDirectory: async (source, options = {}) =>
      put(await contentsOfFolder(source, options.signal), `the files of ${source}`, options),
    putFiles: async (files) => put(contentsOfFiles(files), `${Object.keys(files).length} files`),
    fetch: folders.fetch,
    materialise: folders.materialise,

    has: async (ref) => {
      checkRef(ref);
      return limited({}, `${bucket.url} to tell whether it has artifact ${ref.sha256}`, async (signal) => {
        return (await generationsOf(bucket, 'manifests', ref.sha256, signal)).length > 0;
      });
    },

    remove: async (ref) => {
      checkRef(ref);
      await limited({}, `artifact ${ref.sha256} to be removed from ${bucket.url}`, async (signal) => {
        const generations = await generationsOf(bucket, 'manifests', ref.sha256, signal);
        await bucket.remove(
          generations.map(({ key }) => key),
          signal,
        );
        await rm(cache.manifest(ref.sha256), { force: true });
        await folders.forget(ref.sha256);
      });
    },

    collect: async (live, options = {}) => {
      const hashes = hashesOf(live);
      const { dryRun = false } = options;
      const asked = { graceMs: options.graceMs ?? graceMs, putGraceMs: graceMs, dryRun };
      return limited({}, `${bucket.url} to be collected`, async (signal) => {
        const manifestOf = async (sha256: string, either: AbortSignal) => {
          const cached = await wholeManifest(cache, sha256);
          if (cached) return cached;
          const bytes = await downloadManifest(bucket, sha256, maxAttempts, either);
          return bytes && parseManifest(bytes, sha256);
        };
        const collected = await collectBucket(bucket, hashes, asked, manifestOf, signal);
        if (!dryRun)
          await collectCache(cache, hashes, asked.graceMs === 0 ? 0 : Math.max(asked.graceMs, cacheKeepMs));
        return collected;
      });
    },
  };
}
