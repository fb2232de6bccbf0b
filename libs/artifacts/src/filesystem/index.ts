import { rm } from 'node:fs/promises';
import { exists } from '@rlhf-streams/files';
import { type Contents, contentsOfFiles, contentsOfFolder } from '../contents.js';
import { ArtifactError } from '../errors.js';
import { checkRef, hashesOf, refOf, serialiseManifest } from '../manifest.js';
import type { ArtifactRef, ArtifactStore } from '../port.js';
import { readManifest, verifyFile, writeBlobs, writeManifest } from './blobs.js';
import { collectGarbage } from './collect.js';
import { openFolders } from './folders.js';
import { layoutOf } from './layout.js';

export interface FilesystemOptions {
  /** Made when missing. Several processes may share it; it must be one file system, for renames and hard links. */
  readonly directory: string;
}

/** Artifacts in a folder of this machine (or a mounted one). References have the uri `artifact:<sha256>`. */
export function filesystemArtifacts({ directory }: FilesystemOptions): ArtifactStore {
  const layout = layoutOf(directory);

  const put = async (contents: Contents, signal?: AbortSignal): Promise<ArtifactRef> => {
    const bytes = serialiseManifest(await writeBlobs(layout, contents, 'durable', signal));
    const ref = refOf(bytes);
    // The manifest comes last, and appears whole: from here on the artifact exists.
    await writeManifest(layout, bytes, ref.sha256, 'durable');
    return ref;
  };

  const folders = openFolders(layout, {
    manifest: async (sha256) => {
      const manifest = await readManifest(layout, sha256);
      if (manifest) return manifest;
      throw new ArtifactError(
        'ARTIFACT_NOT_FOUND',
        `expected artifact ${sha256} in ${layout.root}: it was never put there, or was collected`,
      );
    },
    provide: async (files, signal) => {
      for (const [name, entry] of files) await verifyFile(layout.blob(entry.sha256), name, entry, signal);
    },
    stillThere: (sha256) => exists(layout.manifest(sha256)),
  });

  return {
    putDirectory: async (source, { signal } = {}) => put(await contentsOfFolder(source, signal), signal),
    putFiles: async (files) => put(contentsOfFiles(files)),
    fetch: folders.fetch,
    materialise: folders.materialise,

    has: async (ref) => {
      checkRef(ref);
      return exists(layout.manifest(ref.sha256));
    },

    remove: async (ref) => {
      checkRef(ref);
      await rm(layout.manifest(ref.sha256), { force: true });
      await folders.forget(ref.sha256);
    },

    collect: async (live, options = {}) => collectGarbage(layout, hashesOf(live), options),
  };
}
