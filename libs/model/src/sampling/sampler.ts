/** Draws one token from one row of logits. */
import { ModelError } from '../errors.js';

export interface SamplingOptions {
  /** Logits are divided by it. 0 takes the most likely token, the lowest id among equals. */
  temperature: number;
  /** Draw among the k most likely tokens, lowest ids among equals. Absent or 0: off. */
  topK?: number;
  /** Draw, after top-k, among the fewest most likely tokens whose probabilities add up to p or more. Absent or 1: off. */
  topP?: number;
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
let weights = new Float64Array(0);
let ranking = new Float64Array(0);
const float = new Float32Array(1);
const floatBits = new Uint32Array(float.buffer);

/** The largest vocabulary for which the bits of a logit and a token id fit one float64 exactly. */
const MAX_VOCAB = 2 ** 21;

/**
 * Samples by inversion: the token, in order of ids, at which the cumulative probability passes `u`. A pure function of
 * its arguments, computed in float64.
 * @param logits [V], one row, V at most 2^21
 * @param u a draw from [0, 1)
 * @throws MODEL_SAMPLING_OPTIONS, MODEL_LOGITS_SIZE, MODEL_LOGITS_NOT_FINITE
 */
export function sampleToken(logits: Float32Array, options: SamplingOptions, u: number): SampledToken {
  const { temperature, topK = 0, topP = 1 } = options;
  checkOptions(temperature, topK, topP, u);
  const best = mostLikely(logits);
  const scale = temperature === 0 ? 1 : temperature;
  const total = softmaxWeights(logits, logits[best]!, scale);
  const limited = (topK > 0 && topK < logits.length) || topP < 1;
  let token = best;
  if (temperature !== 0) {
    token = invert(limited ? restrict(logits, topK, topP) : total, logits.length, u) ?? best;
  }
  return { token, logprob: (logits[token]! - logits[best]!) / scale - Math.log(total) };
}

function checkOptions(temperature: number, topK: number, topP: number, u: number): void {
  if (!(temperature >= 0 && temperature < Infinity)) {
    throw invalid('temperature must be a finite number, 0 or more', temperature);
  }
  if (!Number.isSafeInteger(topK) || topK < 0) throw invalid('topK must be a non-negative integer', topK);
  if (!(topP > 0 && topP <= 1)) throw invalid('topP must be more than 0 and at most 1', topP);
  if (!(u >= 0 && u < 1)) throw invalid('a draw must be at least 0 and less than 1', u);
}

function invalid(expected: string, got: number): ModelError {
  return new ModelError('MODEL_SAMPLING_OPTIONS', `Sampling: ${expected}, got ${got}.`);
}

function mostLikely(logits: Float32Array): number {
  if (logits.length === 0 || logits.length > MAX_VOCAB) {
    throw new ModelError(
      'MODEL_LOGITS_SIZE',
      `A row of logits has 1 to ${MAX_VOCAB} values, got ${logits.length}; pass one row of one sequence.`,
    );
  }
  let best = 0;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token]!;
    if (!Number.isFinite(logit)) {
      throw new ModelError(
        'MODEL_LOGITS_NOT_FINITE',
        `The logit of token ${token} is ${logit}; the weights have probably diverged, go back to an earlier policy version.`,
      );
    }
    if (logit > logits[best]!) best = token;
  }
  return best;
}

/** Fills `weights` with exp((logit - max) / temperature) and returns their sum. */
function softmaxWeights(logits: Float32Array, max: number, temperature: number): number {
  if (weights.length < logits.length) weights = new Float64Array(logits.length);
  let total = 0;
  for (let token = 0; token < logits.length; token++) {
    const weight = Math.exp((logits[token]! - max) / temperature);
    weights[token] = weight;
    total += weight;
  }
  return total;
}

/** Sets the weights of tokens outside top-k and top-p to 0 and returns the sum of the others. */
function restrict(logits: Float32Array, topK: number, topP: number): number {
  const size = logits.length;
  const ranked = rank(logits);
  const candidates = topK > 0 ? Math.min(topK, size) : size;
  let mass = 0;
  for (let rank = 0; rank < candidates; rank++) mass += weights[ranked[rank]! % size]!;
  let kept = 0;
  let keptMass = 0;
  do keptMass += weights[ranked[kept++]! % size]!;
  while (kept < candidates && keptMass < topP * mass);
  for (let rank = kept; rank < size; rank++) weights[ranked[rank]! % size] = 0;
  return keptMass;
}

/**
 * Tokens from the likeliest to the least likely, lowest ids first among equals, each as descent * V + token, where
 * `descent` is an integer that grows as the logit falls. Sorting plain numbers needs no comparison function, which makes
 * it twice as fast.
 */
function rank(logits: Float32Array): Float64Array {
  const size = logits.length;
  if (ranking.length < size) ranking = new Float64Array(size);
  const ranked = ranking.subarray(0, size);
  for (let token = 0; token < size; token++) {
    // -0 + 0 is 0: equal logits must have equal bits.
    float[0] = logits[token]! + 0;
    const bits = floatBits[0]!;
    // The bits of a negative float, read as an integer, grow as the float falls; those of a positive one are mirrored.
    const descent = bits >= 2 ** 31 ? bits : 2 ** 31 - 1 - bits;
    ranked[token] = descent * size + token;
  }
  return ranked.sort();
}

/** The first token whose cumulative weight exceeds u * total, else the last one with any weight. */
function invert(total: number, size: number, u: number): number | undefined {
  const target = u * total;
  let cumulative = 0;
  let last: number | undefined;
  for (let token = 0; token < size; token++) {
    const weight = weights[token]!;
    if (weight === 0) continue;
    cumulative += weight;
    last = token;
    if (cumulative > target) return token;
  }
  return last;
}
