/**
 * Rotary position embedding (RoPE; Su et al. 2021, "RoFormer"): the two halves of a head's query or key are turned by
 * angles that grow with the position, so that their product depends on the distance alone.
 */
import { kernel } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';

/** Frequencies are theta^(-2i/K), and scaled by `type` to positions beyond those of pretraining. */
export type Rope = { readonly theta: number } & (
  | { readonly type: 'default' }
  /** Chen et al. 2023, "Extending Context Window of Large Language Models via Positional Interpolation". */
  | { readonly type: 'linear'; readonly factor: number }
  /** Llama 3.1: long waves are scaled, short ones are not, and those between partly. */
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      /** The longest sequence of pretraining. */
      readonly originalContextLength: number;
    }
);

/** Cosines and sines [R, K / 2]. */
export interface Rotation {
  readonly cos: tf.Tensor2D;
  readonly sin: tf.Tensor2D;
}

/** The rotations of positions 0 .. length - 1 for heads of width K, times `scale`. */
export function rotations(rope: Rope, K: number, length: number, scale = 1): Rotation {
  const frequencies = ropeFrequencies(rope, K);
  const table = (of: (angle: number) => number) => {
    const values = new Float32Array((length * K) / 2);
    for (let i = 0; i < values.length; i++) {
      const position = Math.floor(i / frequencies.length);
      values[i] = scale * of(Math.fround(position * frequencies[i % frequencies.length]!));
    }
    return tf.tensor2d(values, [length, K / 2]);
  };
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

/** Those of the given positions [R] int32, out of a table. */
export const rotationsAt = ({ cos, sin }: Rotation, positions: tf.Tensor): Rotation => ({
  cos: tf.gather(cos, positions as tf.Tensor1D),
  sin: tf.gather(sin, positions as tf.Tensor1D),
});

/** [K / 2], rounded to float32 where transformers rounds: a late position multiplies what was lost. */
function ropeFrequencies(rope: Rope, K: number): Float32Array {
  const { fround } = Math;
  const frequencies = Float32Array.from({ length: K / 2 }, (_, i) =>
    fround(1 / fround(rope.theta ** fround((2 * i) / K))),
  );
  if (rope.type === 'default') return frequencies;
  const { factor } = rope;
  if (rope.type === 'linear') return frequencies.map((frequency) => frequency / factor);
  const { originalContextLength, lowFrequencyFactor: low, highFrequencyFactor: high } = rope;
  return frequencies.map((frequency) => {
    const waves = fround(originalContextLength / fround((2 * Math.PI) / frequency));
    if (waves < low) return frequency / factor;
    if (waves > high) return frequency;
    const smooth = fround((waves - low) / (high - low));
    return fround(((1 - smooth) * frequency) / factor) + smooth * frequency;
  });
}

const rotaryEmbedding = kernel(
  'RotaryEmbedding',
  ({ x, cos, sin }: { readonly x: tf.Tensor; readonly cos: tf.Tensor; readonly sin: tf.Tensor }) => {
    const [B, R, width] = x.shape as [number, number, number];
    const half = cos.shape[1]!;
    const [first, second] = tf.split(tf.reshape(x, [B, R, width / (2 * half), 2 * half]), 2, -1);
    const [c, s] = [cos, sin].map((table) => tf.reshape(table, [R, 1, half]));
    const turned = [
      tf.sub(tf.mul(first!, c!), tf.mul(second!, s!)),
      tf.add(tf.mul(second!, c!), tf.mul(first!, s!)),
    ];
    return { y: tf.reshape(tf.concat(turned, -1), [B, R, width]) };
  },
);

/**
 * Turns every head of row n by rotation n mod R. The transposed rotation, which is the gradient, turns back.
 * @param x [N, heads * K], N a multiple of R
 */
export function rotate(x: tf.Tensor, { cos, sin }: Rotation): tf.Tensor {
  const turn = tf.customGrad((...args) => {
    const [x, save] = args as unknown as [tf.Tensor, tf.GradSaveFunc];
    const [R, width] = [cos.shape[0], x.shape[1]!];
    const { y } = rotaryEmbedding({ x: tf.reshape(x, [-1, R, width]), cos, sin }, {});
    save([cos, sin]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [cos, sin] = saved as [tf.Tensor2D, tf.Tensor2D];
      return rotate(dy, { cos, sin: tf.neg(sin) });
    };
    return { value: tf.reshape(y, x.shape), gradFunc };
  });
  return turn(x);
}
