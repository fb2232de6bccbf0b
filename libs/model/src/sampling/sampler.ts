/** Draws one token from what a program computed for it: a row of logits, and their softmax. */
import { ModelError } from '../errors.js';
import { tokenLogprobs } from './likeliest.js';

/**
 * The versions of the samplers, which `rollout.generated` names, by the `place` of the engine: the same logits and draw may
 * give another token, where rounding decides, in another version.
 *
 * 1. Weights exp((logit - max) / temperature) in float64.
 * 2. Weights are the softmax in float32 that the program of the model computes.
 * 3. The program of the model draws, in float32 throughout (`on-device.ts`).
 */
export const SAMPLERS = { host: 2, device: 3 } as const;

export interface SamplingOptions {
  /** Logits are divided by it. 0 takes the most likely token, the lowest id among equals. */
  temperature: number;
  /** Draw among the k most likely tokens, lowest ids among equals. Absent or 0: off. */
  topK?: number;
  /** Draw, after top-k, among the fewest most likely tokens whose probabilities add up to p or more. Absent or 1: off. */
  topP?: number;
}

/** One row of what a model says of the next token. */
export interface NextToken {
  /** [V], V at most 2^21. Needed where the temperature is 0; elsewhere they make log-probs of the least likely tokens exact. */
  readonly logits?: Float32Array;
  /** [V]: the softmax of logits / `softmaxTemperature`, in float32. */
  readonly probabilities: Float32Array;
}

export interface SampledToken {
  token: number;
  /**
   * log of the token's probability, in nats, under the softmax of logits / temperature over the whole vocabulary
   * (temperature 1 where it is 0). Top-k and top-p do not enter: this is the number that training computes again
   * from the same logits, as TRL does, so that the ratio of policies starts at 1.
   */
  logprob: number;
}

/** Scratch buffers of this thread, kept so that a token costs no allocation; a call reads nothing of an earlier one. */
let weights = new Float32Array(0);
let keys = new Int32Array(0);
let ranking = [new Int32Array(0), new Int32Array(0)] as const;
const places = new Int32Array(2 ** 11 + 1);

/** A larger vocabulary is no row of one sequence. */
const MAX_VOCAB = 2 ** 21;

/** The range of normal float32 numbers. Temperatures outside are clamped to it, because programs divide in float32. */
const [LEAST, GREATEST] = [2 ** -126, (2 - 2 ** -23) * 2 ** 127];

/** What logits are divided by for the softmax: the temperature as float32, and 1 where it is 0. */
export const softmaxTemperature = ({ temperature }: SamplingOptions): number =>
  temperature === 0 ? 1 : Math.min(GREATEST, Math.max(LEAST, temperature));

/**
 * Samples by inversion: the token, in order of ids, at which the cumulative probability passes `u`. A pure function of
 * its arguments; sums are float64.
 * @param u a draw from [0, 1)
 * @throws MODEL_SAMPLING_OPTIONS, MODEL_LOGITS_SIZE, MODEL_LOGITS_NOT_FINITE
 */
export function sampleToken(next: NextToken, options: SamplingOptions, u: number): SampledToken {
  const { temperature, topK = 0, topP = 1 } = options;
  checkSampling(options);
  if (!(u >= 0 && u < 1)) throw invalid('a draw must be at least 0 and less than 1', u);
  const { probabilities } = next;
  const total = totalOf(next);
  const limited = (topK > 0 && topK < probabilities.length) || topP < 1;
  let token: number;
  if (temperature === 0) token = mostLikely(next.logits!);
  else if (limited) {
    const kept = restrict(probabilities, topK, topP);
    token = invert(weights, kept, probabilities.length, u);
  } else token = invert(probabilities, total, probabilities.length, u);
  return { token, logprob: logprobOf(next, token, total, options) };
}

/** A given token with the log-prob that it would have if drawn. @throws as `sampleToken` does. */
export const givenToken = (next: NextToken, token: number, options: SamplingOptions): SampledToken => ({
  token,
  logprob: logprobOf(next, token, totalOf(next), options),
});

function logprobOf(
  { logits, probabilities }: NextToken,
  token: number,
  total: number,
  options: SamplingOptions,
): number {
  const probability = probabilities[token]!;
  // A subnormal float32 has fewer than 24 bits: such a probability is computed again in float64.
  if (probability >= LEAST || !logits) return Math.log(probability / total);
  return tokenLogprobs(logits, token, 0, softmaxTemperature(options)).logprob;
}

/** @throws ModelError MODEL_SAMPLING_OPTIONS */
export function checkSampling({ temperature, topK = 0, topP = 1 }: SamplingOptions): void {
  if (!(temperature >= 0 && temperature < Infinity)) {
    throw invalid('temperature must be a finite number, 0 or more', temperature);
  }
  if (!Number.isSafeInteger(topK) || topK < 0) throw invalid('topK must be a non-negative integer', topK);
  if (!(topP > 0 && topP <= 1)) throw invalid('topP must be more than 0 and at most 1', topP);
}

function invalid(expected: string, got: number): ModelError {
  return new ModelError('MODEL_SAMPLING_OPTIONS', `Sampling: ${expected}, got ${got}.`);
}

/** The sum of the probabilities, which is about 1. */
function totalOf({ logits, probabilities }: NextToken): number {
  const size = probabilities.length;
  if (size === 0 || size > MAX_VOCAB) {
    throw new ModelError(
      'MODEL_LOGITS_SIZE',
      `A row of logits has 1 to ${MAX_VOCAB} values, got ${size}; pass one row of one sequence.`,
    );
  }
  let total = 0;
  for (let token = 0; token < size; token++) total += probabilities[token]!;
  // One logit that is not finite makes the whole softmax NaN, except for -Infinity, which is a probability of 0.
  if (total > 0) return total;
  const token = logits?.findIndex((logit) => !Number.isFinite(logit));
  const what =
    token === undefined ? 'Not all logits are finite' : `The logit of token ${token} is ${logits![token]}`;
  throw new ModelError(
    'MODEL_LOGITS_NOT_FINITE',
    `${what}; the weights have probably diverged, go back to an earlier policy version.`,
  );
}

function mostLikely(logits: Float32Array): number {
  let best = 0;
  for (let token = 1; token < logits.length; token++) if (logits[token]! > logits[best]!) best = token;
  return best;
}

/** Fills `weights` with the probabilities of the tokens in top-k and top-p, 0 for the others, and returns their sum. */
function restrict(probabilities: Float32Array, topK: number, topP: number): number {
  const size = probabilities.length;
  if (weights.length < size) weights = new Float32Array(size);
  weights.fill(0, 0, size);
  const candidates = topK > 0 ? Math.min(topK, size) : size;
  const ranked = rank(probabilities, candidates);
  let mass = 0;
  for (let rank = 0; rank < candidates; rank++) mass += probabilities[ranked[rank]!]!;
  let keptMass = 0;
  for (let rank = 0; rank < candidates && (rank === 0 || keptMass < topP * mass); rank++) {
    const token = ranked[rank]!;
    weights[token] = probabilities[token]!;
    keptMass += probabilities[token]!;
  }
  return keptMass;
}

/** Bits of a digit of radix sort: three of them are the 31 of a float that is not negative. */
const DIGIT = 11;
const DIGITS = [0, DIGIT, 2 * DIGIT] as const;

/**
 * Tokens from the likeliest to less likely ones, `least` of them at least, lowest ids first among equals. The bits of a
 * float that is not negative, read as an integer, grow with it: they are sorted digit by digit, which keeps the order of
 * equals. Tokens whose greatest digit is behind that of the last one asked for are left out.
 */
function rank(probabilities: Float32Array, least: number): Int32Array {
  const size = probabilities.length;
  if (keys.length < size) {
    keys = new Int32Array(size);
    ranking = [new Int32Array(size), new Int32Array(size)];
  }
  const bits = new Int32Array(probabilities.buffer, probabilities.byteOffset, size);
  for (let token = 0; token < size; token++) keys[token] = 0x7f_ff_ff_ff - bits[token]!;
  let [from, to] = ranking;
  const greatest = DIGITS.at(-1)!;
  places.fill(0);
  for (let token = 0; token < size; token++) places[digitOf(keys[token]!, greatest)]!++;
  let last = 0;
  for (let count = places[0]!; count < least; count += places[last]!) last++;
  let kept = 0;
  for (let token = 0; token < size; token++)
    if (digitOf(keys[token]!, greatest) <= last) from[kept++] = token;
  for (const shift of DIGITS) {
    places.fill(0);
    for (let i = 0; i < kept; i++) places[digitOf(keys[from[i]!]!, shift) + 1]!++;
    for (let digit = 1; digit < places.length; digit++) places[digit]! += places[digit - 1]!;
    for (let i = 0; i < kept; i++) {
      const token = from[i]!;
      const digit = digitOf(keys[token]!, shift);
      to[places[digit]!] = token;
      places[digit]!++;
    }
    [from, to] = [to, from];
  }
  return from;
}

const digitOf = (key: number, shift: number): number => (key >>> shift) & (2 ** DIGIT - 1);

/** The first token whose cumulative weight exceeds u * total, else the last one with any weight. */
function invert(weights: Float32Array, total: number, size: number, u: number): number {
  const target = u * total;
  let cumulative = 0;
  for (let token = 0; token < size; token++) {
    cumulative += weights[token]!;
    if (cumulative > target) return token;
  }
  let last = size - 1;
  while (weights[last] === 0) last--;
  return last;
}
