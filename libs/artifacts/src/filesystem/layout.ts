/**
 * Where the filesystem adapter keeps what:
 *
 *     blobs/sha256/ab/abcd...      content of files, once each
 *     manifests/sha256/ab/abcd...  lists of files; an artifact exists when its manifest does
 *     folders/abcd...              artifacts laid out for reading: links to blobs, made again when missing
 *     temporary/                   what is being written, and what a crash left
 */
import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { unlessMissing } from '@rlhf-streams/files';
import { isSha256 } from '../manifest.js';

export interface Layout {
  readonly root: string;
  readonly folders: string;
  readonly temporary: string;
  blob(sha256: string): string;
  manifest(sha256: string): string;
  folder(sha256: string): string;
  newTemporary(): string;
  /** The hashes of all blobs, or of all manifests. */
  list(kind: 'blob' | 'manifest'): Promise<string[]>;
}

export function layoutOf(directory: string): Layout {
  const root = resolve(directory);
  const temporary = join(root, 'temporary');
  const folders = join(root, 'folders');
  const addressed = (kind: string, sha256: string) => join(root, kind, 'sha256', sha256.slice(0, 2), sha256);
  const layout: Layout = {
    root,
    folders,
    temporary,
    blob: (sha256) => addressed('blobs', sha256),
    manifest: (sha256) => addressed('manifests', sha256),
    folder: (sha256) => join(folders, sha256),
    newTemporary: () => join(temporary, randomUUID()),
    list: async (kind) => {
      const top = dirname(dirname(layout[kind]('00')));
      const found: string[] = [];
      for (const prefix of (await unlessMissing(readdir(top))) ?? []) {
        found.push(...((await unlessMissing(readdir(join(top, prefix)))) ?? []).filter(isSha256));
      }
      return found;
    },
  };
  return layout;
}
