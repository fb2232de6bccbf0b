import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import {
  access,
  chmod,
  copyFile,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { collectGarbage } from './collect.js';
import {
  besides,
  hasCode,
  replaceFolder,
  sweepBesides,
  syncFolder,
  syncFolders,
  unlessMissing,
  writeSynced,
} from './durable.js';
import { ArtifactError } from './errors.js';
import { layoutOf } from './layout.js';
import {
  checkNames,
  type FileEntry,
  isSha256,
  type Manifest,
  parseManifest,
  serialiseManifest,
  sha256Of,
} from './manifest.js';
import type { ArtifactRef, ArtifactStore } from './port.js';
import { limited, type SharedWork, shareWork } from './waiting.js';

export interface FilesystemOptions {
  /** Made when missing. Several processes may share it; it must be one file system, for renames and hard links. */
  readonly directory: string;
}

type Content = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
const CHUNK = 1 << 20;

/** Artifacts in a folder of this machine (or a mounted one). References have the uri `artifact:<sha256>`. */
export function filesystemArtifacts({ directory }: FilesystemOptions): ArtifactStore {
  const layout = layoutOf(directory);
  const fetched = new Map<string, SharedWork<string>>();

  const put = async (contents: ReadonlyMap<string, () => Content>): Promise<ArtifactRef> => {
    checkNames(contents.keys());
    const manifest = new Map<string, FileEntry>();
    for (const [name, content] of contents) manifest.set(name, await putBlob(content()));
    await syncFolders(
      new Set([...manifest.values()].map(({ sha256 }) => dirname(layout.blob(sha256)))),
      layout.root,
    );
    // Last, and whole: the artifact exists from here on.
    const text = serialiseManifest(manifest);
    const sha256 = sha256Of(text);
    const temporary = layout.newTemporary();
    await writeSynced(temporary, [Buffer.from(text)]);
    await place(temporary, layout.manifest(sha256));
    await syncFolders([dirname(layout.manifest(sha256))], layout.root);
    return { uri: `artifact:${sha256}`, sha256 };
  };

  // Takes the place of an equal blob: that may be damaged, not yet durable, or about to be collected.
  const putBlob = async (content: Content): Promise<FileEntry> => {
    const temporary = layout.newTemporary();
    try {
      const entry = await writeSynced(temporary, content);
      await place(temporary, layout.blob(entry.sha256));
      return entry;
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  };

  const readManifest = async (sha256: string): Promise<Manifest> => {
    const bytes = await unlessMissing(readFile(layout.manifest(sha256)));
    if (!bytes)
      throw new ArtifactError(
        'ARTIFACT_NOT_FOUND',
        `expected artifact ${sha256} in ${layout.root}: it was never put there, or was collected`,
      );
    return parseManifest(bytes, sha256);
  };

  const layOut = async (sha256: string, signal: AbortSignal): Promise<string> => {
    const manifest = await readManifest(sha256);
    const folder = layout.folder(sha256);
    if (await holds(folder, manifest, signal)) return folder;

    for (const [name, entry] of manifest) await verify(layout.blob(entry.sha256), name, entry, signal);
    const staged = layout.newTemporary();
    try {
      for (const [name, entry] of manifest) {
        await mkdir(dirname(join(staged, name)), { recursive: true });
        await linkOrCopy(layout.blob(entry.sha256), join(staged, name));
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

  const open = async (ref: ArtifactRef, signal: AbortSignal): Promise<string> => {
    const { sha256 } = ref;
    const known = fetched.get(sha256);
    const folder = await known?.join(signal);
    // It may have been collected since.
    if (folder && (await exists(layout.manifest(sha256))) && (await exists(folder))) return folder;
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
    putDirectory: async (source) => {
      const contents = new Map<string, () => Content>();
      for (const name of (await filesUnder(source)).sort()) {
        contents.set(name, () => createReadStream(join(source, name), { highWaterMark: CHUNK }));
      }
      return put(contents);
    },

    putFiles: async (files) => {
      const contents = new Map<string, () => Content>();
      for (const [name, content] of Object.entries(files)) {
        contents.set(name, () => [typeof content === 'string' ? Buffer.from(content) : content]);
      }
      return put(contents);
    },

    fetch: async (ref, options = {}) => {
      checkRef(ref);
      return limited(options, `artifact ${ref.sha256} to be fetched`, (signal) => open(ref, signal));
    },

    materialise: async (ref, target, options = {}) => {
      checkRef(ref);
      await limited(options, `artifact ${ref.sha256} to be materialised at ${target}`, async (signal) => {
        const folder = await open(ref, signal);
        const manifest = await readManifest(ref.sha256);
        await copyFolder(folder, [...manifest.keys()], resolve(target), signal);
      });
    },

    has: async (ref) => {
      checkRef(ref);
      return exists(layout.manifest(ref.sha256));
    },

    remove: async (ref) => {
      checkRef(ref);
      fetched.delete(ref.sha256);
      await rm(layout.manifest(ref.sha256), { force: true });
      await rm(layout.folder(ref.sha256), { recursive: true, force: true });
    },

    collect: async (live, options = {}) => {
      const refs = [...live];
      for (const ref of refs) checkRef(ref);
      return collectGarbage(layout, new Set(refs.map(({ sha256 }) => sha256)), options);
    },
  };
}

function checkRef(ref: ArtifactRef): void {
  if (typeof ref.sha256 === 'string' && isSha256(ref.sha256)) return;
  throw new ArtifactError(
    'ARTIFACT_BAD_REF',
    `expected an artifact's sha256 as 64 hexadecimal digits, got ${JSON.stringify(ref.sha256)}`,
  );
}

async function place(temporary: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await rename(temporary, path);
}

/** Whether `folder` holds exactly the manifest's files. */
async function holds(folder: string, manifest: Manifest, signal: AbortSignal): Promise<boolean> {
  if (!(await exists(folder))) return false;
  const names = await filesUnder(folder);
  if (names.length !== manifest.size || !names.every((name) => manifest.has(name))) return false;
  try {
    for (const [name, entry] of manifest) await verify(join(folder, name), name, entry, signal);
    return true;
  } catch (error) {
    // Blobs put since may be whole again: the folder is then made anew from them.
    if (error instanceof ArtifactError && error.code === 'ARTIFACT_CORRUPT') return false;
    throw error;
  }
}

async function verify(path: string, name: string, expected: FileEntry, signal: AbortSignal): Promise<void> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK, signal })) hash.update(chunk);
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT')) throw cause;
    throw new ArtifactError(
      'ARTIFACT_CORRUPT',
      `expected file ${name} with sha256 ${expected.sha256}, got no file`,
      { cause },
    );
  }
  const actual = hash.digest('hex');
  if (actual !== expected.sha256) {
    throw new ArtifactError(
      'ARTIFACT_CORRUPT',
      `expected file ${name} with sha256 ${expected.sha256}, got ${actual}: put the artifact again`,
    );
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
  await sweepBesides(target);
  const staged = besides(target);
  try {
    const folders = new Set([staged]);
    for (const name of names) {
      signal.throwIfAborted();
      const path = join(staged, name);
      await mkdir(dirname(path), { recursive: true });
      // Copies, not hard links: a caller who writes to its folder must not write to the store.
      await copyFile(join(from, name), path, constants.COPYFILE_FICLONE);
      await chmod(path, 0o644);
      await syncFile(path);
      folders.add(dirname(path));
    }
    for (const folder of folders) await syncFolder(folder);
    signal.throwIfAborted();
    await replaceFolder(staged, target);
  } finally {
    await rm(staged, { recursive: true, force: true });
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Names of all files under a folder, relative to it, with `/`. */
async function filesUnder(folder: string, prefix = ''): Promise<string[]> {
  const entries = await unlessMissing(readdir(join(folder, prefix), { withFileTypes: true }));
  if (!entries)
    throw new ArtifactError(
      'ARTIFACT_NOT_FOUND',
      `expected a folder at ${join(folder, prefix)}, got nothing`,
    );
  const names: string[] = [];
  for (const entry of entries) {
    const name = `${prefix}${entry.name}`;
    if (entry.isDirectory()) names.push(...(await filesUnder(folder, `${name}/`)));
    else if (entry.isFile() || (entry.isSymbolicLink() && (await isFile(join(folder, name)))))
      names.push(name);
    else
      throw new ArtifactError(
        'ARTIFACT_BAD_NAME',
        `expected a file, a link to a file, or a folder at ${join(folder, name)}`,
      );
  }
  return names;
}

const isFile = async (path: string): Promise<boolean> => (await unlessMissing(stat(path)))?.isFile() ?? false;

const exists = async (path: string): Promise<boolean> =>
  (await unlessMissing(access(path).then(() => true))) ?? false;
