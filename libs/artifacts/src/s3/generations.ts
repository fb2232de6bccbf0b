/**
 * Where the objects of a store are:
 *
 *     blobs/sha256/abcd.../<generation>      content of files
 *     manifests/sha256/abcd.../<generation>  lists of files; an artifact exists when it has one
 *
 * An object is never written twice: to renew one is to write another generation of it. So a collection that decided
 * to delete an old object cannot hit what a concurrent put relies on, on any server, without conditional requests.
 */
import { randomUUID } from 'node:crypto';
import { isSha256 } from '../manifest.js';
import type { Bucket, StoredObject } from './bucket.js';

export type Kind = 'blobs' | 'manifests';

export const newGeneration = (kind: Kind, sha256: string): string =>
  `${folderOf(kind, sha256)}${randomUUID()}`;

/** The generations of one blob or manifest, the newest first. */
export async function generationsOf(
  bucket: Bucket,
  kind: Kind,
  sha256: string,
  signal: AbortSignal,
): Promise<StoredObject[]> {
  const generations: StoredObject[] = [];
  for await (const object of bucket.list(folderOf(kind, sha256), signal)) generations.push(object);
  return generations.sort(newestFirst);
}

/** The generations of all blobs or manifests, the newest first, by their hash. */
export async function allGenerations(
  bucket: Bucket,
  kind: Kind,
  signal: AbortSignal,
): Promise<Map<string, StoredObject[]>> {
  const all = new Map<string, StoredObject[]>();
  const top = folderOf(kind);
  for await (const object of bucket.list(top, signal)) {
    const [sha256 = '', generation] = object.key.slice(top.length).split('/');
    if (!isSha256(sha256) || !generation) continue;
    const known = all.get(sha256);
    if (known) known.push(object);
    else all.set(sha256, [object]);
  }
  for (const generations of all.values()) generations.sort(newestFirst);
  return all;
}

const folderOf = (kind: Kind, sha256?: string): string =>
  sha256 === undefined ? `${kind}/sha256/` : `${kind}/sha256/${sha256}/`;

/** Objects of the same time are in the order of their keys, so that every process finds the same one newest. */
const newestFirst = (a: StoredObject, b: StoredObject): number =>
  b.modified - a.modified || (a.key < b.key ? -1 : 1);
