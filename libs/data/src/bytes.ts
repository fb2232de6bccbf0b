/** The bytes of a dataset file, checked at the door and unpacked on the way. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { DataError } from './errors.js';

/**
 * Refuses what is not a regular file with something in it.
 *
 * @throws DATA_NOT_FOUND, DATA_NOT_A_FILE, DATA_EMPTY, DATA_UNREADABLE
 */
export async function requireFile(path: string): Promise<void> {
  const stats = await stat(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  if (!stats.isFile()) {
    const kind = stats.isDirectory() ? 'a directory' : 'not a regular file';
    throw new DataError('DATA_NOT_A_FILE', `${path}: expected a dataset file, but it is ${kind}`);
  }
  if (stats.size === 0) throw emptyDataset(path);
}

/**
 * Streams a file's bytes, through gunzip if `gzip`.
 *
 * @throws DATA_GZIP_INVALID, DATA_NOT_FOUND, DATA_UNREADABLE
 */
export async function* bytesOf(path: string, gzip: boolean): AsyncGenerator<Buffer> {
  const file = createReadStream(path);
  // The pipeline's error reaches the loop below through the stream it destroys.
  const bytes = gzip ? pipeline(file, createGunzip(), () => {}) : file;
  try {
    for await (const chunk of bytes) yield chunk as Buffer;
  } catch (cause) {
    const code = errnoOf(cause);
    if (!code?.startsWith('Z_')) throw unreadable(path, cause);
    throw new DataError(
      'DATA_GZIP_INVALID',
      `${path}: expected whole gzip data, but ${messageOf(cause)}; fetch or compress the file again`,
      { cause },
    );
  }
}

/** UTF-8 without repair: a byte sequence that is not UTF-8 is an error that names `where`. */
export function decodeUtf8(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new DataError(
      'DATA_UTF8_INVALID',
      `${where}: expected UTF-8 text, but the bytes are not UTF-8; convert the file to UTF-8`,
      { cause },
    );
  }
}

export function emptyDataset(path: string): DataError {
  return new DataError('DATA_EMPTY', `${path}: expected at least one row, but there is none`);
}

/** An error's message without the text that a JSON parser quotes: errors travel further than a file's content should. */
export function messageOf(cause: unknown): string {
  if (cause instanceof SyntaxError) {
    const position = /position \d+/.exec(cause.message)?.[0];
    return `it is not JSON${position === undefined ? '' : ` at ${position}`}`;
  }
  return cause instanceof Error ? cause.message : String(cause);
}

function unreadable(path: string, cause: unknown): DataError {
  if (errnoOf(cause) === 'ENOENT') {
    return new DataError(
      'DATA_NOT_FOUND',
      `${path}: no such file${isAbsolute(path) ? '' : `, looked for ${resolve(path)}`}; check the path`,
      { cause },
    );
  }
  return new DataError('DATA_UNREADABLE', `${path}: cannot be read: ${messageOf(cause)}`, { cause });
}

function errnoOf(cause: unknown): string | undefined {
  return cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined;
}
