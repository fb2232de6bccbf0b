/** Artifacts laid out as folders for reading, once a process: what every adapter hands out. */
import { constants } from 'node:fs';
import { chmod, copyFile, link, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import {
  exists,
  hasCode,
  replaceFolder,
  sweepBeside,
  syncFolder,
  temporaryBeside,
  withFile,
} from '@rlhf-streams/files';
import { filesUnder } from '../contents.js';
import { isCorrupt } from '../errors.js';
import { checkRef, type FileEntry, type Manifest } from '../manifest.js';
import type { ArtifactStore } from '../port.js';
import { limited } from '../time-limit.js';
import { verifyFile } from './blobs.js';
import type { Layout } from './layout.js';
import { type SharedWork, shareWork } from './shared-work.js';

/** Milliseconds after which a temporary folder beside a target counts as left by a process that was killed. */
const ABANDONED_AFTER_MS = 60 * 60 * 1000;

/** Where the files come from. */
export interface Source {
  /** @throws ArtifactError ARTIFACT_NOT_FOUND, ARTIFACT_CORRUPT. */
  manifest(sha256: string, signal: AbortSignal): Promise<Manifest>;
  /**
   * Sees to it that the layout has each of these files' blobs, and that their bytes are the manifest's.
   * @throws ArtifactError ARTIFACT_CORRUPT.
   */
  provide(files: Iterable<readonly [name: string, FileEntry]>, signal: AbortSignal): Promise<void>;
  /** Whether an artifact that was laid out earlier, and is about to be handed out again, is still stored. */
  stillThere(sha256: string): Promise<boolean>;
}

export interface Folders extends Pick<ArtifactStore, 'fetch' | 'materialise'> {
  /** Removes the folder of an artifact. */
  forget(sha256: string): Promise<void>;
}

export function openFolders(layout: Layout, source: Source): Folders {
  const fetched = new Map<string, SharedWork<string>>();

  const layOut = async (sha256: string, signal: AbortSignal): Promise<string> => {
    const manifest = await source.manifest(sha256, signal);
    const folder = layout.folder(sha256);
    if (await holds(folder, manifest, signal)) return folder;

    await source.provide(manifest, signal);
    const staged = layout.newTemporary();
    try {
      for (const file of manifest) {
        const [name, entry] = file;
        await mkdir(dirname(join(staged, name)), { recursive: true });
        try {
          await linkOrCopy(layout.blob(entry.sha256), join(staged, name));
        } catch (error) {
          // The artifact was collected in the meantime.
          if (!hasCode(error, 'ENOENT')) throw error;
          await source.provide([file], signal);
          await linkOrCopy(layout.blob(entry.sha256), join(staged, name));
        }
      }
      await mkdir(layout.folders, { recursive: true });
      try {
        await rename(staged, folder);
      } catch (error) {
        // Another process may have laid it out meanwhile, and somebody read it already.
        if (!hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
        if (!(await holds(folder, manifest, signal))) await replaceFolder(staged, folder);
      }
    } finally {
      await rm(staged, { recursive: true, force: true });
    }
    return folder;
  };

  const open = async (sha256: string, signal: AbortSignal): Promise<string> => {
    const known = fetched.get(sha256);
    const folder = await known?.join(signal);
    if (folder && (await source.stillThere(sha256)) && (await exists(folder))) return folder;
    if (fetched.get(sha256) === known) {
      const forget = () => {
        if (fetched.get(sha256) === work) fetched.delete(sha256);
      };
      const work = shareWork(async (shared) => {
        try {
          return await layOut(sha256, shared);
        } catch (error) {
          forget();
          throw error;
        }
      }, forget);
      fetched.set(sha256, work);
    }
    return fetched.get(sha256)!.join(signal);
  };

  return {
    fetch: async (ref, options = {}) => {
      checkRef(ref);
      return limited(options, `artifact ${ref.sha256} to be fetched`, (signal) => open(ref.sha256, signal));
    },

    materialise: async (ref, target, options = {}) => {
      checkRef(ref);
      await limited(options, `artifact ${ref.sha256} to be materialised at ${target}`, async (signal) => {
        const folder = await open(ref.sha256, signal);
        const manifest = await source.manifest(ref.sha256, signal);
        await copyFolder(folder, [...manifest.keys()], resolve(target), signal);
      });
    },

    forget: async (sha256) => {
      fetched.delete(sha256);
      await rm(layout.folder(sha256), { recursive: true, force: true });
    },
  };
}

/** Whether `folder` holds exactly the manifest's files. */
async function holds(folder: string, manifest: Manifest, signal: AbortSignal): Promise<boolean> {
  if (!(await exists(folder))) return false;
  const names = await filesUnder(folder);
  if (names.length !== manifest.size || !names.every((name) => manifest.has(name))) return false;
  try {
    for (const [name, entry] of manifest) await verifyFile(join(folder, name), name, entry, signal);
    return true;
  } catch (error) {
    // Blobs put since may be whole again: the folder is then made anew from them.
    if (isCorrupt(error)) return false;
    throw error;
  }
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!hasCode(error, 'EPERM', 'EXDEV', 'EMLINK', 'ENOTSUP', 'ENOSYS')) throw error;
    await copyFile(from, to);
  }
}

async function copyFolder(
  from: string,
  names: readonly string[],
  target: string,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await sweepBeside(target, ABANDONED_AFTER_MS);
  const staged = temporaryBeside(target);
  try {
    const folders = new Set([staged]);
    for (const name of names) {
      signal.throwIfAborted();
      const path = join(staged, name);
      await mkdir(dirname(path), { recursive: true });
      // Copies, not hard links: a caller who writes to its folder must not write to the store.
      await copyFile(join(from, name), path, constants.COPYFILE_FICLONE);
      await chmod(path, 0o644);
      await withFile(path, 'r+', (file) => file.sync());
      folders.add(dirname(path));
    }
    for (const folder of folders) await syncFolder(folder);
    signal.throwIfAborted();
    await replaceFolder(staged, target);
  } finally {
    await rm(staged, { recursive: true, force: true });
  }
}
