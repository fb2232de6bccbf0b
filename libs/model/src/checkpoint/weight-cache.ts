/**
 * A folder of weights as programs take them, made once for all threads and processes of a machine. Nothing in it is needed:
 * a file that is gone, or damaged, is made again.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import {
  hasCode,
  isOlder,
  unlessMissing,
  withFile,
  writeFileAtomically,
  writeNewFile,
} from '@rlhf-streams/files';

export interface WeightCache {
  readonly directory: string;
  /** Bytes above which those files go that nobody used for an hour. */
  readonly bytes: number;
}

/** Where a program that names no cache keeps decoded weights: in the user's own. */
export const userCache = (): WeightCache => ({
  directory: join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'rlhf-streams', 'weights'),
  bytes: 20 * 2 ** 30,
});

export interface CachedFile {
  /** Says all that the contents depend on: equal ones are equal contents. */
  readonly identity: unknown;
  /** How many bytes they have, where that is known before they are made. */
  readonly size?: number;
  readonly contents: () => AsyncIterable<Uint8Array>;
}

const HOUR_MS = 60 * 60 * 1000;
/** A file in use is marked as used this often. */
const MARK_MS = 10 * 60 * 1000;
/** Whoever makes a file marks its claim this often; one that was not marked for longer is that of a killed process. */
const ALIVE_MS = 1000;
const DEAD_MS = 5000;
const LOOK_MS = 20;
/**
 * A process that waits for a file gives up when the one that makes it has written nothing for this time: its disk hangs.
 * Syncing a large file may take minutes.
 */
const MOST_SILENT_MS = 10 * 60 * 1000;

const SUFFIX = '.weights';
/** CRC-32 of the contents, which it follows. */
const CHECKSUM_BYTES = 4;
const CHUNK = 2 ** 20;

/**
 * The path of a file of these contents, whole and durable. Until the thread ends it counts as used. Of several who want it at
 * the same time one makes it, and the others wait.
 * @throws what `contents` throws; errors of the file system as they are
 */
export async function cachedFile(cache: WeightCache, wanted: CachedFile): Promise<string> {
  const path = join(cache.directory, `${sha256Of(JSON.stringify(wanted.identity))}${SUFFIX}`);
  await mkdir(cache.directory, { recursive: true });
  while (!(await isWhole(path, wanted.size))) {
    const made = await claimed(`${path}.claim`, async (progress) => {
      // Whoever had the claim before may have made it in between.
      if (await isWhole(path, wanted.size)) return;
      await make(path, wanted, progress);
      await trim(cache, path);
    });
    if (made) break;
    await setTimeout(LOOK_MS);
  }
  keepUsed(path);
  return path;
}

async function isWhole(path: string, size: number | undefined): Promise<boolean> {
  if (!(await markUsed(path))) return false;
  const found = await unlessMissing(withFile(path, 'r', (file) => endsInItsChecksum(file, size)));
  return found ?? false;
}

async function endsInItsChecksum(file: FileHandle, wanted: number | undefined): Promise<boolean> {
  const size = (await file.stat()).size - CHECKSUM_BYTES;
  if (size < 0 || size !== (wanted ?? size)) return false;
  const chunk = Buffer.alloc(CHUNK);
  let checksum = 0;
  for (let at = 0; at < size; ) {
    const { bytesRead } = await file.read(chunk, 0, Math.min(CHUNK, size - at), at);
    if (bytesRead === 0) return false;
    checksum = crc32(chunk.subarray(0, bytesRead), checksum);
    at += bytesRead;
  }
  await file.read(chunk, 0, CHECKSUM_BYTES, size);
  return chunk.readUInt32LE() === checksum;
}

/**
 * Works while nobody else does who has this claim; false where another one has it. Two may have it at once where one was
 * held up for long: then both make the same file, each under a name of its own.
 */
async function claimed(claim: string, work: (progress: () => void) => Promise<void>): Promise<boolean> {
  try {
    await writeNewFile(claim, '', { sync: false });
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    const found = await unlessMissing(stat(claim));
    if (found && isOlder(found.mtimeMs, DEAD_MS)) await rm(claim, { force: true });
    return false;
  }
  let last = Date.now();
  const stopMarking = markEvery(ALIVE_MS, claim, () => Date.now() - last < MOST_SILENT_MS);
  try {
    await work(() => {
      last = Date.now();
    });
    return true;
  } finally {
    stopMarking();
    await rm(claim, { force: true });
  }
}

async function make(path: string, { contents }: CachedFile, progress: () => void): Promise<void> {
  async function* pieces() {
    let checksum = 0;
    for await (const piece of contents()) {
      checksum = crc32(piece, checksum);
      yield piece;
      progress();
    }
    const end = Buffer.alloc(CHECKSUM_BYTES);
    end.writeUInt32LE(checksum);
    yield end;
  }
  await writeFileAtomically(path, pieces());
}

/** Removes what crashes left behind and, the longest unused first, files above the cache's bytes. */
async function trim({ directory, bytes }: WeightCache, kept: string): Promise<void> {
  const files = (
    await Promise.all(
      (
        await readdir(directory)
      ).map(async (name) => {
        const path = join(directory, name);
        const found = await unlessMissing(stat(path));
        return found?.isFile() ? [{ path, size: found.size, used: found.mtimeMs }] : [];
      }),
    )
  ).flat();
  let total = files.reduce((sum, { size }) => sum + size, 0);
  for (const { path, size, used } of files.sort((a, b) => a.used - b.used)) {
    if (path === kept || !isOlder(used, HOUR_MS)) continue;
    if (path.endsWith(SUFFIX) && total <= bytes) continue;
    await rm(path, { force: true });
    total -= size;
  }
}

const inUse = new Set<string>();

/** Sessions open the file whenever they need it, also hours after it was found here. */
function keepUsed(path: string): void {
  if (!inUse.has(path)) markEvery(MARK_MS, path);
  inUse.add(path);
}

/** Marks a file, as long as `isAlive`, until the function that comes back is called, or the thread ends. */
function markEvery(ms: number, path: string, isAlive = () => true): () => void {
  // A mark that fails is missing: the file counts as unused, and is made again where somebody needs it.
  const mark = () => void (isAlive() && markUsed(path).catch(() => false));
  const timer = setInterval(mark, ms).unref();
  return () => clearInterval(timer);
}

async function markUsed(path: string): Promise<boolean> {
  const now = new Date();
  return (await unlessMissing(utimes(path, now, now).then(() => true))) ?? false;
}

const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex');
