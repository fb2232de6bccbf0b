import { DataError, type LabelledRow, seededRandom } from '@rlhf-streams/data';
import { reviewSentence } from './grammar.js';

const CORPUS_STREAM = 2;
const MOST_ROWS = 10_000_000;

/**
 * Short film reviews, made by a grammar, for runs that need no download: one sentence each, half of them positive,
 * a quarter with a clause of the other sentiment that the weightier clause outweighs. The first three words of a
 * row leave its sentiment open, so that they can be its prompt. Row i is a function of `seed` and i alone.
 *
 * @param options.size rows, 12000 by default
 * @throws DATA_ARGUMENT_INVALID
 */
export function bundledCorpus(options: { size?: number; seed?: number } = {}): LabelledRow[] {
  const { size = 12_000, seed = 0 } = options;
  if (!(Number.isInteger(size) && size >= 1 && size <= MOST_ROWS)) {
    throw new DataError(
      'DATA_ARGUMENT_INVALID',
      `size: expected an integer from 1 to ${MOST_ROWS}, got ${size}`,
    );
  }
  return Array.from({ length: size }, (_, index) => {
    const random = seededRandom(seed, CORPUS_STREAM, index);
    const label = random.below(2) as 0 | 1;
    return { text: reviewSentence(random, label === 1 ? 'good' : 'bad'), label };
  });
}
