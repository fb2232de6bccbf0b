/** Counter-based random numbers: the same seed, stream and index give the same numbers on any machine. */
import { type PhiloxBlock, philox4x32 } from '@rlhf-streams/random';
import { requireInteger } from './errors.js';

/** A sequence of random numbers that only its seed, stream and index determine. */
export interface SeededRandom {
  /** The next integer in [0, 2^32). */
  uint32(): number;
  /** A float in [0, 1) with 32 random bits. */
  float(): number;
  /** An unbiased integer in [0, `bound`); 1 <= bound <= 2^32. */
  below(bound: number): number;
}

const UINT32 = 2 ** 32;

/**
 * The sequence of (`seed`, `stream`, `index`). Different streams and indices are independent: every use of a run's one
 * seed takes a stream of its own.
 *
 * @throws DATA_ARGUMENT_INVALID for a seed that is not a safe integer >= 0, or a stream or index not a uint32
 */
export function seededRandom(seed: number, stream = 0, index = 0): SeededRandom {
  requireInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER);
  requireInteger('stream', stream, 0, UINT32 - 1);
  requireInteger('index', index, 0, UINT32 - 1);
  const key: [number, number] = [seed >>> 0, Math.floor(seed / UINT32)];
  let block = 0;
  let words: PhiloxBlock = [0, 0, 0, 0];
  let used = 4;

  const uint32 = () => {
    if (used === 4) {
      words = philox4x32([block >>> 0, Math.floor(block / UINT32), index, stream], key);
      block += 1;
      used = 0;
    }
    return words[used++]!;
  };
  const below = (bound: number) => {
    requireInteger('bound', bound, 1, UINT32);
    const fair = UINT32 - (UINT32 % bound);
    let word = uint32();
    while (word >= fair) word = uint32();
    return word % bound;
  };
  return { uint32, float: () => uint32() / UINT32, below };
}
