import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LogError } from '../errors.js';

const LOCK_FILE = 'lock.mdb';
/** Room for a thousand readers. */
const LOCK_BYTES = 1 << 16;

/**
 * Gives LMDB's lock file its room on the disk before LMDB maps it into memory. In a file that LMDB makes itself, the
 * first page that finds no room ends the process by SIGBUS.
 * @throws LogError LOG_WRITE_FAILED.
 */
export async function reserveLockFile(directory: string): Promise<void> {
  if (existsSync(join(directory, LOCK_FILE))) return;
  const made = join(directory, `${LOCK_FILE}.${randomUUID()}.tmp`);
  try {
    await writeFile(made, Buffer.alloc(LOCK_BYTES), { flag: 'wx' });
    // A link makes the file appear whole: another process may be opening the log at the same time.
    await link(made, join(directory, LOCK_FILE));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw notWritable(directory, cause);
  } finally {
    await rm(made, { force: true });
  }
}

export const notWritable = (directory: string, cause: unknown): LogError =>
  new LogError(
    'LOG_WRITE_FAILED',
    `expected to write the log in ${directory}: ${(cause as Error).message}; make room there, or name another folder`,
    { cause },
  );
