import { entropyFromLogits, selectiveLogSoftmax } from '@rlhf-streams/alignment';
import { float32, int32, onnxEngine, type Program } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { headLogprobs, headLogprobsAndEntropy, type ScoredTokens } from './head-logprobs.js';

/** A vocabulary of which 64 tokens are a chunk, so that these tokens are three. */
const [N, D, V] = [140, 3, 2 ** 17];
const wave = (size: number, scale: number) =>
  Float32Array.from({ length: size }, (_, i) => scale * Math.sin(1.7 * i + 0.3 * Math.sqrt(i)));
const feeds = {
  h: wave(N * D, 2),
  W: wave(V * D, 1.5),
  ids: Int32Array.from({ length: N }, (_, i) => (i * 40_503 + 11) % V),
  weights: wave(N, 1),
  temperature: wave(N, 0.2).map((x) => x + 0.8),
};
const inputs = {
  h: float32(N, D),
  W: float32(V, D),
  ids: int32(N),
  weights: float32(N),
  temperature: float32(N),
};

type Scored = (tokens: ScoredTokens) => { logprobs: tf.Tensor; entropy?: tf.Tensor };
const whole =
  (temperature: 'one' | 'each'): Scored =>
  ({ hidden, output, ids, temperature: T }) => {
    const divisor = temperature === 'each' ? tf.reshape(T as tf.Tensor, [N, 1]) : (T as number);
    const z = tf.div(tf.matMul(hidden, output, false, true), divisor);
    return { logprobs: selectiveLogSoftmax(z, ids), entropy: entropyFromLogits(z) };
  };

/** Log-probs, entropies, and the gradients of weighted sums of them. */
async function computed(
  scored: Scored,
  { temperature, learnsEntropy }: { temperature: 'one' | 'each'; learnsEntropy: boolean },
) {
  const program: Program = {
    inputs,
    reads: [],
    run(_, { h, W, ids, weights, ...given }) {
      const tokens = (hidden: tf.Tensor, output: tf.Tensor): ScoredTokens => ({
        hidden: hidden as tf.Tensor2D,
        output: output as tf.Tensor2D,
        ids: ids!,
        temperature: temperature === 'each' ? given.temperature! : 0.7,
      });
      const loss = (hidden: tf.Tensor, output: tf.Tensor) => {
        const { logprobs, entropy } = scored(tokens(hidden, output));
        const sum = learnsEntropy ? tf.add(logprobs, tf.mul(entropy!, tf.abs(weights!))) : logprobs;
        return tf.sum(tf.mul(sum, weights!)) as tf.Scalar;
      };
      const [dh, dW] = tf.grads(loss)([h!, W!]);
      const { logprobs, entropy } = scored(tokens(h!, W!));
      return { outputs: { logprobs, dh: dh!, dW: dW!, ...(entropy && { entropy }) } };
    },
  };
  const engine = onnxEngine();
  const space = await engine.open({});
  await space.add({ program });
  const results = await space.run('program', feeds);
  await space.dispose();
  await engine.close();
  return results;
}

describe('log-probs through the language head by chunks are those of the logits as a whole, and so are gradients', () => {
  const cases = [
    ['of log-probs', { temperature: 'one', learnsEntropy: false }, headLogprobsOnly],
    [
      'of log-probs, with entropies that are measured, each token at its temperature',
      { temperature: 'each', learnsEntropy: false },
      (tokens: ScoredTokens) => headLogprobsAndEntropy({ ...tokens, learnsEntropy: false }),
    ],
    [
      'of log-probs and entropies',
      { temperature: 'one', learnsEntropy: true },
      (tokens: ScoredTokens) => headLogprobsAndEntropy({ ...tokens, learnsEntropy: true }),
    ],
  ] as const;
  it.each(cases)('%s', async (_, options, scored) => {
    const expected = await computed(whole(options.temperature), options);
    for (const [name, buffer] of Object.entries(await computed(scored, options))) {
      let difference = 0;
      for (let i = 0; i < buffer.length; i++)
        difference = Math.max(
          difference,
          Math.abs(buffer[i]! - expected[name]![i]!) / (1 + Math.abs(buffer[i]!)),
        );
      expect(difference, name).toBeLessThan(1e-4);
    }
  });
});

function headLogprobsOnly(tokens: ScoredTokens) {
  return { logprobs: headLogprobs(tokens) };
}

it('a token has the same bits in batches of several sizes where the largest is what decides', async () => {
  const bits = async (size: number) => {
    const engine = onnxEngine();
    const space = await engine.open({});
    const program: Program = {
      inputs: { h: float32(size, D), W: inputs.W, ids: int32(size) },
      reads: [],
      run: (_, { h, W, ids }) => ({
        outputs: {
          logprobs: headLogprobs({
            hidden: h as tf.Tensor2D,
            output: W as tf.Tensor2D,
            ids: ids!,
            tokens: N,
          }),
        },
      }),
    };
    await space.add({ program });
    const { logprobs } = await space.run('program', {
      h: feeds.h.subarray(0, size * D),
      W: feeds.W,
      ids: feeds.ids.subarray(0, size),
    });
    await space.dispose();
    await engine.close();
    return [...logprobs!.subarray(0, 32)];
  };
  expect(await bits(32)).toEqual(await bits(128));
});
