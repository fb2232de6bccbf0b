import { glob, isDynamicPattern } from 'tinyglobby';

/** Whether a path names files by a pattern: `shards/*.parquet`, `{a,b}.jsonl`, or with `**`, `?` or `[0-9]`. */
export const isPattern = (path: string): boolean => isDynamicPattern(path);

/**
 * The files that a pattern names, in the order of their paths; those whose name or folder begins with a dot are left out.
 * @param pattern absolute, or relative to the working directory
 */
export const filesMatching = async (pattern: string): Promise<string[]> =>
  (await glob(pattern, { expandDirectories: false })).toSorted((a, b) => (a < b ? -1 : Number(a > b)));
