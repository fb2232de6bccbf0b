import { execFile } from 'node:child_process';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { unlessMissing } from '@rlhf-streams/files';
import { LogError } from '../errors.js';

const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
/** Offsets of the fields that are read of LMDB's meta page, its page header included, and its size. */
const META = { magic: 24, version: 28, pageSize: 48, lastPage: 144, bytes: 152 };
const VERIFY_TIMEOUT_MS = 120_000;

/**
 * Looks at the data file before LMDB does: LMDB maps the file and trusts it, so a damaged one ends the process with
 * SIGSEGV or SIGBUS rather than with an error.
 *
 * @throws LogError LOG_CORRUPT when it is not a data file of LMDB, or is cut short.
 */
export async function checkDataFile(directory: string): Promise<void> {
  const path = join(directory, 'data.mdb');
  const file = await unlessMissing(open(path)).catch((error) => {
    throw corrupt(directory, `${path} cannot be opened`, error);
  });
  if (!file) return;
  try {
    const { size } = await file.stat();
    if (size === 0) return;
    const first = await readMeta(file, 0);
    const second = first && (await readMeta(file, first.pageSize));
    if (!first || !second) throw corrupt(directory, `${path} is not a data file of LMDB`);
    const whole = (Math.max(first.lastPage, second.lastPage) + 1) * first.pageSize;
    // Pages freed at the end are counted but never written, so a short file may be sound: reading all of it tells.
    if (size < whole) await verify(directory, `${path} has ${size} of ${whole} bytes`);
  } finally {
    await file.close();
  }
}

async function readMeta(
  file: FileHandle,
  at: number,
): Promise<{ pageSize: number; lastPage: number } | undefined> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(META.bytes), 0, META.bytes, at);
  const pageSize = buffer.readUInt32LE(META.pageSize);
  const isMeta =
    bytesRead === META.bytes &&
    buffer.readUInt32LE(META.magic) === MAGIC &&
    (buffer.readUInt32LE(META.version) & 0xffff) === DATA_VERSION &&
    pageSize >= 256 &&
    pageSize <= 65_536;
  return isMeta ? { pageSize, lastPage: Number(buffer.readBigUInt64LE(META.lastPage)) } : undefined;
}

/** Reads everything in a process of its own, because reading may kill the process. */
async function verify(directory: string, suspicion: string): Promise<void> {
  const script = fileURLToPath(new URL('./verify.js', import.meta.url));
  try {
    await promisify(execFile)(process.execPath, [script, directory], { timeout: VERIFY_TIMEOUT_MS });
  } catch (error) {
    throw corrupt(directory, suspicion, error);
  }
}

export function corrupt(directory: string, what: string, cause?: unknown): LogError {
  return new LogError(
    'LOG_CORRUPT',
    `${directory} is not the folder of a sound log: ${what}. Name another folder, or put a backup in its place.`,
    { cause },
  );
}
