/**
 * From hidden states to the log-probs of given tokens and to entropies, through the language head. Where the logits of all
 * tokens together would be large they are computed chunk by chunk, forward and backward, and never exist as a whole.
 */
import { entropyFromLogits, selectiveLogSoftmax } from '@rlhf-streams/alignment';
import { after, capturedFor } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { logits } from './architectures/heads.js';

/** Logits that are computed at once: more are cut into chunks. 32 MiB, of which a few are in memory at a time. */
export const MOST_LOGITS = 2 ** 23;
/** On a device, where each chunk is some launches: 256 MiB. */
const MOST_LOGITS_ON_DEVICE = 2 ** 26;
/** Tokens of a chunk come in multiples of this, for the products. */
const TOKENS = 32;

export interface ScoredTokens {
  /** h, [N, D]. */
  readonly hidden: tf.Tensor2D;
  /** W, the output matrix, [V, D]: logits are h W'. */
  readonly output: tf.Tensor2D;
  /** [N] int32, each in [0, V). */
  readonly ids: tf.Tensor;
  /** The temperature of the sampling, which divides logits: one for all tokens, or [N]. Default 1. */
  readonly temperature?: number | tf.Tensor;
  /** The number of tokens by which it is decided to chunk: for programs that differ in N, and not in bits. Default N. */
  readonly tokens?: number;
}

/**
 * log pi(id | h W' / temperature) of each token, [N].
 *
 * In chunks the gradient is a closed form too: d lp / d h = (W[id] - p W) / temperature, which is computed with the
 * log-probs while the logits are there, so that h alone costs no product more than without chunks. The gradient of W, where
 * it is asked for, computes the logits of each chunk again.
 */
export function headLogprobs(options: ScoredTokens): tf.Tensor1D {
  if (!isSmall(options)) return byChunks(options, undefined).logprobs;
  return selectiveLogSoftmax(temperedLogits(options), options.ids, scalarOf(options)) as tf.Tensor1D;
}

/**
 * Those, and the entropy [N] of each distribution.
 * @param options.learnsEntropy whether the entropy is part of a loss: without it, it has no gradient
 */
export function headLogprobsAndEntropy({
  learnsEntropy,
  ...options
}: ScoredTokens & { readonly learnsEntropy: boolean }): {
  readonly logprobs: tf.Tensor1D;
  readonly entropy: tf.Tensor1D;
} {
  if (!isSmall(options)) {
    const { logprobs, entropy } = byChunks(options, learnsEntropy ? 'learned' : 'measured');
    return { logprobs, entropy: entropy! };
  }
  const z = temperedLogits(options);
  return {
    logprobs: selectiveLogSoftmax(z, options.ids, scalarOf(options)) as tf.Tensor1D,
    entropy: entropyFromLogits(z, scalarOf(options)) as tf.Tensor1D,
  };
}

const isSmall = ({ hidden, output, tokens = hidden.shape[0] }: ScoredTokens): boolean =>
  chunksOf(tokens, output.shape[0]).length === 1;

const scalarOf = ({ temperature = 1 }: ScoredTokens): number =>
  typeof temperature === 'number' ? temperature : 1;

/** Logits, divided by temperatures that differ from token to token. */
function temperedLogits({ hidden, output, temperature }: ScoredTokens): tf.Tensor2D {
  const z = logits(hidden, output);
  return temperature instanceof tf.Tensor ? tf.div(z, tf.reshape(temperature, [-1, 1])) : z;
}

interface Chunk {
  readonly begin: number;
  readonly size: number;
}

/** Tokens in chunks of at most as many logits; one where all have no more. */
function chunksOf(tokens: number, vocabulary: number): Chunk[] {
  const limit = capturedFor() === 'device' ? MOST_LOGITS_ON_DEVICE : MOST_LOGITS;
  const some = Math.max(1, Math.floor(limit / vocabulary / TOKENS)) * TOKENS;
  const most = tokens * vocabulary <= limit ? tokens : some;
  return Array.from({ length: Math.ceil(tokens / most) }, (_, i) => ({
    begin: i * most,
    size: Math.min(most, tokens - i * most),
  }));
}

function byChunks(
  { hidden, output, ids, temperature = 1 }: ScoredTokens,
  entropy: 'measured' | 'learned' | undefined,
): { logprobs: tf.Tensor1D; entropy?: tf.Tensor1D } {
  const N = hidden.shape[0];
  const V = output.shape[0];
  const chunks = chunksOf(N, V);
  /** Rows x of a chunk less than the whole, divided by the temperature. */
  const tempered = (x: tf.Tensor, { begin, size }: Chunk): tf.Tensor2D => {
    const rows = tf.slice(x as tf.Tensor2D, [begin, 0], [size, -1]);
    if (temperature === 1) return rows;
    const divisor =
      typeof temperature === 'number'
        ? temperature
        : tf.reshape(tf.slice(temperature, [begin], [size]), [size, 1]);
    return tf.div(rows, divisor);
  };
  const idsOf = ({ begin, size }: Chunk): tf.Tensor1D => tf.slice(ids as tf.Tensor1D, [begin], [size]);
  // The slopes of a chunk are computed before the next chunk begins, while its logits are there; without a gradient never.
  const isDifferentiated = tf.engine().state.gradientDepth > 0;

  const scored = tf.customGrad((...args) => {
    const [h, W, save] = args as unknown as [tf.Tensor2D, tf.Tensor2D, tf.GradSaveFunc];
    const parts: ScoredChunk[] = [];
    for (const chunk of chunks) {
      const before = parts.at(-1);
      let x = tempered(h, chunk);
      if (before) x = after(x, isDifferentiated ? before.slope : before.logprobs);
      if (before?.entropySlope && isDifferentiated) x = after(x, before.entropySlope);
      parts.push(scoreChunk(x, W, idsOf(chunk), entropy));
    }
    const slopes = tf.concat(parts.map(({ slope }) => slope));
    const entropySlopes = parts.flatMap(({ entropySlope }) => (entropySlope ? [entropySlope] : []));
    save([h, W, slopes, ...(entropySlopes.length > 0 ? [tf.concat(entropySlopes)] : [])]);
    const value = tf.concat([
      ...parts.map(({ logprobs }) => logprobs),
      ...parts.flatMap(({ entropy }) => (entropy ? [entropy] : [])),
    ]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [h, W, slopes, entropySlopes] = saved as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D?];
      const column = (from: number) => tf.reshape(tf.slice(dy as tf.Tensor1D, [from], [N]), [N, 1]);
      const dLogprobs = column(0);
      const dEntropy = entropySlopes && column(N);
      const along = tf.mul(dLogprobs, slopes);
      const dx = dEntropy ? tf.add(along, tf.mul(dEntropy, entropySlopes)) : along;
      const whole = { begin: 0, size: N };
      return [tempered(dx, whole), outputGradient(tempered, chunks, { h, W, ids, dLogprobs, dEntropy })];
    };
    return { value, gradFunc };
  });

  const all = scored(hidden, output) as tf.Tensor1D;
  return {
    logprobs: tf.slice(all, [0], [N]),
    ...(entropy && { entropy: tf.slice(all, [N], [N]) }),
  };
}

/** z less its largest, exp of that, its sum and the sum's logarithm, for logits z = x W' of a chunk, [C, V] and [C, 1]. */
function softmaxOf(x: tf.Tensor2D, W: tf.Tensor2D) {
  const z = logits(x, W);
  const shifted = tf.sub(z, tf.max(z, -1, true));
  const exps = tf.exp(shifted);
  const sum = tf.sum(exps, -1, true);
  return { shifted, exps, sum };
}

/** What is computed of a chunk: log-probs and entropies [C], and the derivatives of both in x, [C, D]. */
interface ScoredChunk {
  readonly logprobs: tf.Tensor1D;
  readonly slope: tf.Tensor;
  readonly entropy?: tf.Tensor1D;
  readonly entropySlope?: tf.Tensor;
}

function scoreChunk(
  x: tf.Tensor2D,
  W: tf.Tensor2D,
  ids: tf.Tensor1D,
  entropy: 'measured' | 'learned' | undefined,
): ScoredChunk {
  const [C, V] = [x.shape[0], W.shape[0]];
  const { shifted, exps, sum } = softmaxOf(x, W);
  const logSum = tf.reshape(tf.log(sum), [C]);
  const rowStarts = tf.tensor1d(
    Int32Array.from({ length: C }, (_, row) => row * V),
    'int32',
  );
  const chosen = tf.gather(tf.reshape(shifted, [C * V]), tf.add(ids, rowStarts) as tf.Tensor1D);
  const meanOutput = tf.div(tf.matMul(exps as tf.Tensor2D, W), sum);
  const slope = tf.sub(tf.gather(W, ids), meanOutput);
  const logprobs = tf.sub(chosen, logSum) as tf.Tensor1D;
  if (!entropy) return { logprobs, slope };

  // d H / d z_v = -p_v (log p_v + H) = -p_v (shifted_v - E_p[shifted])
  const weighted = tf.mul(exps, shifted) as tf.Tensor2D;
  const mean = tf.div(tf.sum(weighted, -1, true), sum);
  return {
    logprobs,
    slope,
    entropy: tf.sub(logSum, tf.reshape(mean, [C])) as tf.Tensor1D,
    ...(entropy === 'learned' && {
      entropySlope: tf.sub(tf.mul(mean, meanOutput), tf.div(tf.matMul(weighted, W), sum)),
    }),
  };
}

/** d loss / d W = sum over tokens of (d loss / d z) x', with d lp / d z = onehot(id) - p: [V, D], chunk after chunk. */
function outputGradient(
  tempered: (x: tf.Tensor, chunk: Chunk) => tf.Tensor2D,
  chunks: readonly Chunk[],
  {
    h,
    W,
    ids,
    dLogprobs,
    dEntropy,
  }: {
    readonly h: tf.Tensor2D;
    readonly W: tf.Tensor2D;
    readonly ids: tf.Tensor;
    readonly dLogprobs: tf.Tensor;
    readonly dEntropy: tf.Tensor | undefined;
  },
): tf.Tensor {
  const whole = tempered(h, { begin: 0, size: h.shape[0] });
  let sum: tf.Tensor = tf.unsortedSegmentSum(
    tf.mul(whole, dLogprobs),
    ids as tf.Tensor1D,
    W.shape[0],
  ) as tf.Tensor2D;
  for (const { begin, size } of chunks) {
    const x = after(tempered(h, { begin, size }), sum);
    const rows = (dy: tf.Tensor) => tf.slice(dy as tf.Tensor2D, [begin, 0], [size, 1]);
    const { shifted, exps, sum: total } = softmaxOf(x, W);
    const p = tf.div(exps, total);
    let slope = rows(dLogprobs) as tf.Tensor;
    if (dEntropy) {
      const mean = tf.sum(tf.mul(p, shifted), -1, true);
      slope = tf.add(slope, tf.mul(rows(dEntropy), tf.sub(shifted, mean)));
    }
    const G = tf.mul(p, slope) as tf.Tensor2D;
    sum = tf.sub(sum, tf.matMul(G, x, true));
  }
  return sum;
}
