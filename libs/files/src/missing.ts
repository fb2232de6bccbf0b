import { access, stat } from 'node:fs/promises';

/** Whether an error has one of these codes: those of the operating system, or any other's. */
export const hasCode = (error: unknown, ...codes: readonly string[]): boolean =>
  codes.includes((error as NodeJS.ErrnoException | undefined)?.code ?? '');

/**
 * What `work` comes to; undefined where it fails with ENOENT, because the file or folder does not exist.
 *
 * @example const config = await unlessMissing(readFile('checkpoints/8/config.json', 'utf8'));
 */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Whether there is a file or folder at `path`. */
export const exists = async (path: string): Promise<boolean> =>
  (await unlessMissing(access(path).then(() => true))) ?? false;

/** Whether there is a file, or a link to one, at `path`. */
export const isFile = async (path: string): Promise<boolean> =>
  (await unlessMissing(stat(path)))?.isFile() ?? false;
