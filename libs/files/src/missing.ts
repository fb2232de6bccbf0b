import { access, stat } from 'node:fs/promises';

/** Whether the operating system, or whoever threw, gave an error one of these codes. */
export const hasCode = (error: unknown, ...codes: readonly string[]): boolean =>
  codes.includes((error as NodeJS.ErrnoException | undefined)?.code ?? '');

/** What `work` comes to; undefined where the file or folder does not exist. */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

export const exists = async (path: string): Promise<boolean> =>
  (await unlessMissing(access(path).then(() => true))) ?? false;

export const isFile = async (path: string): Promise<boolean> =>
  (await unlessMissing(stat(path)))?.isFile() ?? false;
