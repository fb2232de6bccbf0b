/**
 * The GPT-2 architecture (Radford et al. 2019) as pure functions over tfjs tensors, with the tensors of the published
 * checkpoints. Rows are right-padded: with a causal mask no real token ever sees a pad, so neither a padding mask nor
 * shifted positions are needed.
 *
 * Shapes: B rows, T tokens, D width, H heads, K = D / H, C capacity of a cache, V vocabulary.
 */
import * as tf from '@tensorflow/tfjs';
import type { LayerCache, Parameters } from '../../architecture.js';
import { logits } from '../heads.js';
import { linear } from '../linear.js';
import { causalMask, pastMask } from '../masks.js';
import type { Gpt2Config } from './config.js';
import { gelu, layerNorm } from './ops.js';

type Attend = (layer: number, q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) => tf.Tensor;

/**
 * Final hidden states of whole sequences.
 * @param ids [B, T] int32
 * @param at [N] int32, of 0 .. B * T - 1: behind the attention of the last layer nothing is computed for other tokens
 * @returns hidden [N, D], without `at` [B * T, D]; and what each layer attends to, for a cache
 */
export function forward(
  config: Gpt2Config,
  p: Parameters,
  ids: tf.Tensor,
  at?: tf.Tensor,
): { hidden: tf.Tensor2D; cache: LayerCache[] } {
  const [B, T] = ids.shape as [number, number];
  const { width: D } = config;
  const cache: LayerCache[] = [];
  const mask = causalMask(T);
  const tokens = tf.reshape(tf.gather(p['wte.weight']!, tf.reshape(ids, [B * T])), [B, T, D]);
  const positions = tf.slice(p['wpe.weight']!, [0, 0], [T, D]);
  const x = tf.reshape(tf.add(tokens, positions), [B * T, D]) as tf.Tensor2D;

  const attend: Attend = (_layer, q, k, v) => {
    cache.push({ keys: k, values: v });
    const scores = tf.add(tf.matMul(q, k, false, true), mask);
    return tf.matMul(tf.softmax(scores), v);
  };
  return { hidden: blocks(config, p, x, [B, T], attend, at), cache };
}

/**
 * One step of generation: a token a row, each at its own position, attending to the row's cache and to itself.
 * @param ids [B] int32
 * @param positions [B] int32: the tokens already in the row's cache
 * @param cache [B, H, C, K] a layer, of which the first `positions[b]` entries count
 * @returns hidden [B, D], and the keys and values [B, H, 1, K] to put at `positions`
 */
export function step(
  config: Gpt2Config,
  p: Parameters,
  ids: tf.Tensor,
  positions: tf.Tensor,
  cache: readonly LayerCache[],
): { hidden: tf.Tensor2D; added: LayerCache[] } {
  const B = ids.shape[0]!;
  const C = cache[0]!.keys.shape[2]!;
  const added: LayerCache[] = [];
  const mask = pastMask(positions, C);
  const x = tf.add(
    tf.gather(p['wte.weight']!, ids as tf.Tensor1D),
    tf.gather(p['wpe.weight']!, positions as tf.Tensor1D),
  ) as tf.Tensor2D;

  const hidden = blocks(config, p, x, [B, 1], (layer, q, k, v) => {
    added.push({ keys: k, values: v });
    const past = cache[layer]!;
    const scores = tf.concat(
      [tf.add(tf.matMul(q, past.keys, false, true), mask), tf.sum(tf.mul(q, k), -1, true)],
      -1,
    );
    const [toPast, toSelf] = tf.split(tf.softmax(scores), [C, 1], -1);
    return tf.add(tf.matMul(toPast!, past.values), tf.mul(toSelf!, v));
  });
  return { hidden, added };
}

export const cacheShape = ({ width, heads }: Gpt2Config, rows: number, capacity: number) =>
  [rows, heads, capacity, width / heads] as const;

/** The output matrix [V, D], which is the token embedding unless the model has its own. */
export const outputMatrix = (config: Gpt2Config, p: Parameters): tf.Tensor2D =>
  p[config.tieWordEmbeddings ? 'wte.weight' : 'lm_head.weight'] as tf.Tensor2D;

export const languageHead = (config: Gpt2Config, p: Parameters, hidden: tf.Tensor2D): tf.Tensor2D =>
  logits(hidden, outputMatrix(config, p));

function blocks(
  config: Gpt2Config,
  p: Parameters,
  input: tf.Tensor2D,
  [B, T]: readonly [number, number],
  attend: Attend,
  at?: tf.Tensor,
): tf.Tensor2D {
  const { width: D, heads: H, layers, layerNormEpsilon } = config;
  const K = D / H;
  const map = (x: tf.Tensor, name: string) => linear(config, p, x, name, { fanInFanOut: true });
  const norm = (x: tf.Tensor, name: string) =>
    layerNorm(x, p[`${name}.weight`]!, p[`${name}.bias`]!, layerNormEpsilon);
  const toHeads = (x: tf.Tensor) =>
    T === 1 ? tf.reshape(x, [B, H, 1, K]) : tf.transpose(tf.reshape(x, [B, T, H, K]), [0, 2, 1, 3]);
  const fromHeads = (x: tf.Tensor) => tf.reshape(T === 1 ? x : tf.transpose(x, [0, 2, 1, 3]), [B * T, D]);

  let x: tf.Tensor = input;
  for (let layer = 0; layer < layers; layer++) {
    const name = `h.${layer}`;
    const qkv = map(norm(x, `${name}.ln_1`), `${name}.attn.c_attn`);
    const [q, k, v] = tf.split(qkv, 3, -1).map(toHeads) as [tf.Tensor, tf.Tensor, tf.Tensor];
    let attended = fromHeads(attend(layer, tf.mul(q, 1 / Math.sqrt(K)), k, v));
    if (at && layer === layers - 1) [x, attended] = [tf.gather(x, at), tf.gather(attended, at)];
    x = tf.add(x, map(attended, `${name}.attn.c_proj`));
    const wide = gelu(map(norm(x, `${name}.ln_2`), `${name}.mlp.c_fc`));
    x = tf.add(x, map(wide, `${name}.mlp.c_proj`));
  }
  return norm(x, 'ln_f') as tf.Tensor2D;
}
