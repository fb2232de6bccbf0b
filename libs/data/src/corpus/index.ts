import { requireInteger } from '../errors.js';
import { seededRandom } from '../seeded-random.js';
import { reviewSentence } from './grammar.js';

export interface CorpusRow {
  text: string;
  /** 1 for a positive review, 0 for a negative one. */
  label: 0 | 1;
}

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
export function bundledCorpus(options: { size?: number; seed?: number } = {}): CorpusRow[] {
  const { size = 12_000, seed = 0 } = options;
  requireInteger('size', size, 1, MOST_ROWS);
  return Array.from({ length: size }, (_, index) => {
    const random = seededRandom(seed, CORPUS_STREAM, index);
    const label = random.below(2) as 0 | 1;
    return { text: reviewSentence(random, label === 1 ? 'good' : 'bad'), label };
  });
}
