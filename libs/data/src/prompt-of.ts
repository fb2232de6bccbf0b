import { requireInteger } from './errors.js';

/**
 * The first `words` words of a text, to be its prompt: an exact prefix of the text up to the last of those
 * words, without the space after it.
 *
 * @returns undefined for a text of fewer than `words + 2` words, which leaves too little to complete
 */
export function promptOf(text: string, words = 3): string | undefined {
  requireInteger('words', words, 1, 2 ** 20);
  let count = 0;
  let end = 0;
  for (const word of text.matchAll(/\S+/g)) {
    count += 1;
    if (count === words) end = word.index + word[0].length;
    if (count === words + 2) return text.slice(0, end);
  }
  return undefined;
}
