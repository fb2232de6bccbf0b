/** The list of an artifact's files, in the one form whose SHA-256 is the artifact's id. */
import { createHash } from 'node:crypto';
import { ArtifactError } from './errors.js';
import type { ArtifactRef } from './port.js';

export interface FileEntry {
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

export type Manifest = ReadonlyMap<string, FileEntry>;

const SHA256 = /^[0-9a-f]{64}$/;
const MAX_SEGMENT_BYTES = 255;
const MAX_NAME_BYTES = 1024;

export const sha256Of = (bytes: Uint8Array | string): string =>
  createHash('sha256').update(bytes).digest('hex');

export const isSha256 = (text: string): boolean => SHA256.test(text);

/** The reference of the artifact whose manifest these bytes are. */
export function refOf(manifest: Uint8Array): ArtifactRef {
  const sha256 = sha256Of(manifest);
  return { uri: `artifact:${sha256}`, sha256 };
}

/** @throws ArtifactError ARTIFACT_BAD_REF. */
export function checkRef(ref: ArtifactRef): void {
  if (typeof ref.sha256 === 'string' && isSha256(ref.sha256)) return;
  throw new ArtifactError(
    'ARTIFACT_BAD_REF',
    `expected an artifact's sha256 as 64 hexadecimal digits, got ${JSON.stringify(ref.sha256)}`,
  );
}

/** @throws ArtifactError ARTIFACT_BAD_REF. */
export function hashesOf(refs: Iterable<ArtifactRef>): Set<string> {
  const hashes = new Set<string>();
  for (const ref of refs) {
    checkRef(ref);
    hashes.add(ref.sha256);
  }
  return hashes;
}

/**
 * Where a manifest of another format would say so, beside its files: none can be called that. One of the first format
 * says nothing, so that the same files have the same id as ever.
 */
const FORMAT_KEY = '';
const FORMAT = 1;

/**
 * Canonical JSON: names in the order of their UTF-16 code units, no white space.
 * Written by hand because objects put integer-like keys first.
 */
export function serialiseManifest(manifest: Manifest): Buffer {
  const entries = [...manifest].sort(([a], [b]) => (a < b ? -1 : 1));
  const members = entries.map(
    ([name, { sha256, size }]) => `${JSON.stringify(name)}:{"sha256":"${sha256}","size":${size}}`,
  );
  return Buffer.from(`{${members.join(',')}}`);
}

/**
 * The manifest in `bytes`, whose hash the caller's reference names.
 * @throws ArtifactError ARTIFACT_CORRUPT when the bytes are others or no manifest, ARTIFACT_TOO_NEW when it is of a
 *   format that only a newer build knows.
 */
export function parseManifest(bytes: Uint8Array, sha256: string): Manifest {
  const actual = sha256Of(bytes);
  if (actual !== sha256) {
    throw new ArtifactError(
      'ARTIFACT_CORRUPT',
      `expected the manifest of artifact ${sha256}, got bytes with sha256 ${actual}`,
    );
  }
  try {
    const json = JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, unknown>;
    if (Object.hasOwn(json, FORMAT_KEY))
      throw new ArtifactError(
        'ARTIFACT_TOO_NEW',
        `expected artifact ${sha256} to be of format ${FORMAT}, got ${JSON.stringify(json[FORMAT_KEY])}, which a newer build stored: upgrade this one`,
      );
    const entries = Object.entries(json as Record<string, FileEntry>);
    for (const [name, { sha256, size }] of entries) {
      if (!isSha256(sha256) || !Number.isSafeInteger(size) || size < 0)
        throw new Error(`bad entry for ${JSON.stringify(name)}`);
    }
    const manifest = new Map(entries);
    checkNames(manifest.keys());
    return manifest;
  } catch (cause) {
    if (cause instanceof ArtifactError && cause.code === 'ARTIFACT_TOO_NEW') throw cause;
    throw new ArtifactError(
      'ARTIFACT_CORRUPT',
      `expected artifact ${sha256} to be a manifest: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/**
 * Names are relative paths with `/` between their parts, safe to join to any folder on any system.
 * @throws ArtifactError ARTIFACT_BAD_NAME, ARTIFACT_EMPTY when there is none.
 */
export function checkNames(names: Iterable<string>): void {
  const all = new Set(names);
  if (all.size === 0)
    throw new ArtifactError('ARTIFACT_EMPTY', 'expected an artifact of at least one file, got none');
  for (const name of all) {
    const mistake = mistakeIn(name);
    if (mistake)
      throw new ArtifactError(
        'ARTIFACT_BAD_NAME',
        `expected a relative path as file name, got ${JSON.stringify(name)}: ${mistake}`,
      );
    for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1)) {
      if (all.has(name.slice(0, at))) {
        throw new ArtifactError(
          'ARTIFACT_BAD_NAME',
          `${JSON.stringify(name.slice(0, at))} cannot be both a file and a folder`,
        );
      }
    }
  }
}

function mistakeIn(name: string): string | undefined {
  if (name.includes('\0')) return 'it has a NUL';
  if (name.includes('\\')) return 'the separator is /';
  if (name.startsWith('/') || /^[A-Za-z]:/.test(name)) return 'it is absolute';
  if (Buffer.from(name).toString() !== name) return 'it is not well-formed Unicode';
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) return `it is longer than ${MAX_NAME_BYTES} bytes`;
  for (const part of name.split('/')) {
    if (part === '' || part === '.' || part === '..') return `a part of it is ${JSON.stringify(part)}`;
    if (Buffer.byteLength(part) > MAX_SEGMENT_BYTES)
      return `a part of it is longer than ${MAX_SEGMENT_BYTES} bytes`;
  }
  return undefined;
}
