/** What goes into an artifact: files by name, read when their turn comes. */
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isFile, unlessMissing } from '@rlhf-streams/files';
import { ArtifactError } from './errors.js';

export type Content = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
export type Contents = ReadonlyMap<string, () => Content>;

/** Bytes read at a time. */
export const CHUNK = 1 << 20;

/** @throws ArtifactError ARTIFACT_NOT_FOUND, ARTIFACT_BAD_NAME. */
export async function contentsOfFolder(folder: string, signal?: AbortSignal): Promise<Contents> {
  const contents = new Map<string, () => Content>();
  for (const name of (await filesUnder(folder)).sort()) {
    contents.set(name, () =>
      createReadStream(join(folder, name), { highWaterMark: CHUNK, ...(signal && { signal }) }),
    );
  }
  return contents;
}

export function contentsOfFiles(files: Readonly<Record<string, Uint8Array | string>>): Contents {
  const contents = new Map<string, () => Content>();
  for (const [name, content] of Object.entries(files)) {
    contents.set(name, () => [typeof content === 'string' ? Buffer.from(content) : content]);
  }
  return contents;
}

/**
 * Names of all files under a folder, relative to it, with `/`.
 * @throws ArtifactError ARTIFACT_NOT_FOUND, ARTIFACT_BAD_NAME for what is neither file nor folder.
 */
export async function filesUnder(folder: string, prefix = ''): Promise<string[]> {
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
