/** Blobs and manifests in a folder of this machine: the filesystem adapter's store, the S3 adapter's cache. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasCode, syncFolders, unlessMissing, writeNewFile } from '@rlhf-streams/files';
import { CHUNK, type Content, type Contents } from '../contents.js';
import { ArtifactError } from '../errors.js';
import { checkNames, type FileEntry, type Manifest, parseManifest } from '../manifest.js';
import type { Layout } from './layout.js';

/** Whether what was written must outlive a crash of the machine when the call resolves. */
export type Durability = 'durable' | 'expendable';

/**
 * Stores every file, streaming, and returns the list of them.
 * @throws ArtifactError ARTIFACT_BAD_NAME, ARTIFACT_EMPTY; the signal's reason.
 */
export async function writeBlobs(
  layout: Layout,
  contents: Contents,
  durability: Durability,
  signal?: AbortSignal,
): Promise<Manifest> {
  checkNames(contents.keys());
  const manifest = new Map<string, FileEntry>();
  for (const [name, content] of contents) {
    signal?.throwIfAborted();
    manifest.set(name, await writeBlob(layout, content(), durability));
  }
  if (durability === 'durable') {
    const folders = [...manifest.values()].map(({ sha256 }) => dirname(layout.blob(sha256)));
    await syncFolders(new Set(folders), layout.root);
  }
  return manifest;
}

// A blob of the same content is replaced: it may be damaged, not yet durable, or about to be collected.
async function writeBlob(layout: Layout, content: Content, durability: Durability): Promise<FileEntry> {
  const temporary = layout.newTemporary();
  try {
    const entry = await writeHashed(temporary, content, durability);
    await place(temporary, layout.blob(entry.sha256));
    return entry;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Writes a new, read-only file; returns the hash and the size of what went into it. */
async function writeHashed(path: string, content: Content, durability: Durability): Promise<FileEntry> {
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
  await writeNewFile(path, observed(), { sync: durability === 'durable', mode: 0o444 });
  return { sha256: hash.digest('hex'), size };
}

/** Stores a manifest: the artifact exists from then on. */
export async function writeManifest(
  layout: Layout,
  bytes: Uint8Array,
  sha256: string,
  durability: Durability,
): Promise<void> {
  const temporary = layout.newTemporary();
  await writeHashed(temporary, [bytes], durability);
  await place(temporary, layout.manifest(sha256));
  if (durability === 'durable') await syncFolders([dirname(layout.manifest(sha256))], layout.root);
}

/**
 * The manifest of an artifact; undefined where there is none.
 * @throws ArtifactError ARTIFACT_CORRUPT.
 */
export async function readManifest(layout: Layout, sha256: string): Promise<Manifest | undefined> {
  const bytes = await unlessMissing(readFile(layout.manifest(sha256)));
  return bytes && parseManifest(bytes, sha256);
}

/** @throws ArtifactError ARTIFACT_CORRUPT when the file at `path` is not what the manifest says, or missing. */
export async function verifyFile(
  path: string,
  name: string,
  expected: FileEntry,
  signal: AbortSignal,
): Promise<void> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK, signal })) hash.update(chunk);
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT')) throw cause;
    throw new ArtifactError(
      'ARTIFACT_CORRUPT',
      `expected file ${name} with sha256 ${expected.sha256}, got no file: put the artifact again`,
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

/** Moves a finished file to where it belongs, in place of what is there. */
export async function place(temporary: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await rename(temporary, path);
}
