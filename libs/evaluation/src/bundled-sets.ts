/** Small sets of our own, a few dozen rows each: for tiny models, for the mechanics, and to show the formats. */
import { fileURLToPath } from 'node:url';

/**
 * The file of a set: `everyday` and `misconceptions` are questions with choices, `pairs` paired sentences about groups that
 * nobody need mind. They are far too small to judge a real model by.
 */
export const bundledSet = (name: string): string =>
  fileURLToPath(new URL(`../assets/sets/${name}.jsonl`, import.meta.url));
