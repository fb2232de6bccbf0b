/**
 * The Llama architecture (Touvron et al. 2023) and its relatives as pure functions over tfjs tensors, with the tensors
 * of the published checkpoints. Rows are right-padded: with a causal mask no real token ever sees a pad, so neither a
 * padding mask nor shifted positions are needed.
 *
 * Shapes: B rows, T tokens, D width, H heads of queries, H' heads of keys and values, G = H / H' queries that share one
 * (grouped-query attention, Ainslie et al. 2023), K width of a head, C capacity of a cache, V vocabulary.
 */
import * as tf from '@tensorflow/tfjs';
import type { LayerCache, Parameters } from '../../architecture.js';
import { logits } from '../heads.js';
import { linear } from '../linear.js';
import { attendToCache, cacheMask, causalMask, pastMask, pastMasks } from '../masks.js';
import { type Layer, throughLayers } from '../recomputation.js';
import type { LlamaConfig } from './config.js';
import { gated, rmsNorm } from './ops.js';
import { type Rotation, rotate, rotations, rotationsAt } from './rope.js';

/** Rotations of queries, which are divided by sqrt(K) on the way, and of keys. */
interface Rotations {
  readonly queries: Rotation;
  readonly keys: Rotation;
}

/** What queries [B, H', G * T, K] of a layer find in its keys and values [B, H', T, K]: like the queries. */
type Attend = (layer: number, queries: tf.Tensor, own: LayerCache) => tf.Tensor;

/**
 * Final hidden states of whole sequences.
 * @param ids [B, T] int32
 * @param at [N] int32, of 0 .. B * T - 1: behind the attention of the last layer nothing is computed for other tokens
 * @returns hidden [N, D], without `at` [B * T, D]; and what each layer attends to, for a cache
 */
export function forward(
  config: LlamaConfig,
  p: Parameters,
  ids: tf.Tensor,
  at?: tf.Tensor,
): { hidden: tf.Tensor2D; cache: LayerCache[] } {
  const [B, T] = ids.shape as [number, number];
  const { heads: H, slidingWindow, layers } = config;
  const { queries, keys } = tables(config, T);
  const constants: Record<string, tf.Tensor> = {
    mask: causalMask(T, slidingWindow),
    queriesCos: queries.cos,
    queriesSin: queries.sin,
    keysCos: keys.cos,
    keysSin: keys.sin,
  };

  const layer =
    (index: number): Layer =>
    (x, p, { mask, at, ...rotations }) => {
      const here = {
        queries: { cos: rotations.queriesCos!, sin: rotations.queriesSin! } as Rotation,
        keys: { cos: rotations.keysCos!, sin: rotations.keysSin! } as Rotation,
      };
      const attend: Attend = (_, queries, { keys, values }) => {
        const scores = tf.reshape(tf.matMul(queries, keys, false, true), [B, H, T, T]);
        const weights = tf.softmax(tf.add(scores, mask!));
        return tf.matMul(tf.reshape(weights, [...queries.shape.slice(0, 3), T]), values);
      };
      return layerOf(config, p, [B, T], here, attend)(x, index, at);
    };
  const x = tf.gather(p['embed_tokens.weight']!, tf.reshape(ids, [B * T]));
  const all = Array.from({ length: layers }, (_, index) => ({
    layer: layer(index),
    prefix: `layers.${index}.`,
  }));
  const { output, cache } = throughLayers(all, x, p, constants, at);
  return { hidden: finalNorm(config, p, output), cache };
}

/**
 * One step of generation: a token a row, each at its own position, attending to the row's cache and to itself.
 * @param ids [B] int32
 * @param positions [B] int32: the tokens already in the row's cache
 * @param cache [B, H', C, K] a layer, of which the first `positions[b]` entries count
 * @returns hidden [B, D], and the keys and values [B, H', 1, K] to put at `positions`
 */
export function step(
  config: LlamaConfig,
  p: Parameters,
  ids: tf.Tensor,
  positions: tf.Tensor,
  cache: readonly LayerCache[],
): { hidden: tf.Tensor2D; added: LayerCache[] } {
  const B = ids.shape[0]!;
  const C = cache[0]!.keys.shape[2]!;
  const mask = pastMask(positions, C, config.slidingWindow);
  const { queries, keys } = tables(config, C);
  const here = { queries: rotationsAt(queries, positions), keys: rotationsAt(keys, positions) };
  const attend: Attend = (index, q, own) => {
    const past = cache[index]!;
    const scores = tf.concat(
      [tf.add(tf.matMul(q, past.keys, false, true), mask), tf.sum(tf.mul(q, own.keys), -1, true)],
      -1,
    );
    const [toPast, toSelf] = tf.split(tf.softmax(scores), [C, 1], -1);
    return tf.add(tf.matMul(toPast!, past.values), tf.mul(toSelf!, own.values));
  };
  return layers(config, p, ids, layerOf(config, p, [B, 1], here, attend));
}

/**
 * One step of generation whose keys and values are in the cache before a layer attends to it.
 * @param ids [B] int32
 * @param positions [B] int32
 * @param store puts keys and values [B, H', 1, K] of a layer at `positions`, and gives its cache [B, H', C, K]
 * @returns hidden [B, D]
 */
export function stepInto(
  config: LlamaConfig,
  p: Parameters,
  ids: tf.Tensor,
  positions: tf.Tensor,
  capacity: number,
  store: (layer: number, own: LayerCache) => LayerCache,
): tf.Tensor2D {
  const { queries, keys } = tables(config, capacity);
  const here = { queries: rotationsAt(queries, positions), keys: rotationsAt(keys, positions) };
  const mask = cacheMask(positions, capacity, config.slidingWindow);
  const attend: Attend = (index, q, own) => attendToCache(q, store(index, own), mask);
  return layers(config, p, ids, layerOf(config, p, [ids.shape[0]!, 1], here, attend)).hidden;
}

/**
 * Some tokens further, as a prompt is read in parts: each attends to its row's cache and to those before it.
 * @param ids [B, T] int32
 * @param positions [B] int32: the tokens already in the row's cache
 * @param cache as of `step`
 * @param at [N] int32, of 0 .. B * T - 1
 * @returns hidden [N, D], and the keys and values [B, H', T, K] to put at `positions` and behind it
 */
export function extend(
  config: LlamaConfig,
  p: Parameters,
  ids: tf.Tensor,
  positions: tf.Tensor,
  cache: readonly LayerCache[],
  at: tf.Tensor,
): { hidden: tf.Tensor2D; added: LayerCache[] } {
  const [B, T] = ids.shape as [number, number];
  const C = cache[0]!.keys.shape[2]!;
  const { heads: H, slidingWindow } = config;
  const past = pastMasks(positions, T, C, slidingWindow);
  const own = causalMask(T, slidingWindow);
  const places = tf.add(tf.reshape(positions, [B, 1]), tf.range(0, T, 1, 'int32'));
  const { queries, keys } = tables(config, C + T);
  const [turnQueries, turnKeys] = [queries, keys].map((table) =>
    rotationsAt(table, tf.reshape(places, [B * T])),
  );
  const attend: Attend = (index, q, { keys, values }) => {
    const layer = cache[index]!;
    const shape = q.shape.slice(0, 3);
    const scores = tf.concat(
      [
        tf.add(tf.reshape(tf.matMul(q, layer.keys, false, true), [B, H, T, C]), past),
        tf.add(tf.reshape(tf.matMul(q, keys, false, true), [B, H, T, T]), own),
      ],
      -1,
    );
    const [toPast, toOwn] = tf.split(tf.softmax(scores), [C, T], -1);
    return tf.add(
      tf.matMul(tf.reshape(toPast!, [...shape, C]), layer.values),
      tf.matMul(tf.reshape(toOwn!, [...shape, T]), values),
    );
  };
  const layer = layerOf(config, p, [B, T], { queries: turnQueries!, keys: turnKeys! }, attend);
  return layers(config, p, tf.reshape(ids, [B * T]), layer, at);
}

/** All layers of tokens [B * T] that attend to a cache; behind the last one, of those `at` [N] alone. */
function layers(
  config: LlamaConfig,
  p: Parameters,
  ids: tf.Tensor,
  layer: ReturnType<typeof layerOf>,
  at?: tf.Tensor,
): { hidden: tf.Tensor2D; added: LayerCache[] } {
  let x: tf.Tensor = tf.gather(p['embed_tokens.weight']!, ids as tf.Tensor1D);
  const added: LayerCache[] = [];
  for (let index = 0; index < config.layers; index++) {
    const { output, own } = layer(x, index, index === config.layers - 1 ? at : undefined);
    x = output;
    added.push(own);
  }
  return { hidden: finalNorm(config, p, x), added };
}

export const cacheShape = ({ kvHeads, headWidth }: LlamaConfig, rows: number, capacity: number) =>
  [rows, kvHeads, capacity, headWidth] as const;

/** The output matrix [V, D], which is the token embedding unless the model has its own. */
export const outputMatrix = (config: LlamaConfig, p: Parameters): tf.Tensor2D =>
  p[config.tieWordEmbeddings ? 'embed_tokens.weight' : 'lm_head.weight'] as tf.Tensor2D;

export const languageHead = (config: LlamaConfig, p: Parameters, hidden: tf.Tensor2D): tf.Tensor2D =>
  logits(hidden, outputMatrix(config, p));

const tables = ({ rope, headWidth: K }: LlamaConfig, length: number): Rotations => ({
  queries: rotations(rope, K, length, 1 / Math.sqrt(K)),
  keys: rotations(rope, K, length),
});

const finalNorm = ({ normEpsilon }: LlamaConfig, p: Parameters, x: tf.Tensor): tf.Tensor2D =>
  rmsNorm(x, p['norm.weight']!, normEpsilon) as tf.Tensor2D;

/**
 * A layer as a function of its input [B * T, D] and its index.
 * @returns its output, [N, D] where only the tokens `at` [N] are asked for; and its keys and values [B, H', T, K]
 */
function layerOf(
  config: LlamaConfig,
  p: Parameters,
  [B, T]: readonly [number, number],
  here: Rotations,
  attend: Attend,
) {
  const { heads: H, kvHeads, headWidth: K, normEpsilon, queryKeyNorms } = config;
  /** [B * T, h * K] -> [B, h, T, K] */
  const toHeads = (x: tf.Tensor, h: number) =>
    T === 1 ? tf.reshape(x, [B, h, 1, K]) : tf.transpose(tf.reshape(x, [B, T, h, K]), [0, 2, 1, 3]);
  const fromHeads = (x: tf.Tensor) =>
    tf.reshape(T === 1 ? x : tf.transpose(tf.reshape(x, [B, H, T, K]), [0, 2, 1, 3]), [B * T, H * K]);

  return (input: tf.Tensor, index: number, at?: tf.Tensor): { output: tf.Tensor; own: LayerCache } => {
    const name = `layers.${index}`;
    const norm = (x: tf.Tensor, module: string) => rmsNorm(x, p[`${name}.${module}.weight`]!, normEpsilon);
    const map = (x: tf.Tensor, module: string) =>
      linear(config, p, x, `${name}.${module}`, { fanInFanOut: false });
    /** Normalises each head of [B * T, h * K], where the model does. */
    const normEach = (x: tf.Tensor, module: string) =>
      queryKeyNorms ? tf.reshape(norm(tf.reshape(x, [-1, K]), module), x.shape) : x;

    const normed = norm(input, 'input_layernorm');
    const q = rotate(normEach(map(normed, 'self_attn.q_proj'), 'self_attn.q_norm'), here.queries);
    const k = rotate(normEach(map(normed, 'self_attn.k_proj'), 'self_attn.k_norm'), here.keys);
    const v = map(normed, 'self_attn.v_proj');
    const own = { keys: toHeads(k, kvHeads), values: toHeads(v, kvHeads) };
    // Heads that share keys and values follow each other: side by side they are more rows of one product.
    const queries = tf.reshape(toHeads(q, H), [B, kvHeads, (H / kvHeads) * T, K]);
    const attended = fromHeads(attend(index, queries, own));

    const [x, found] = at ? [tf.gather(input, at), tf.gather(attended, at)] : [input, attended];
    const between = tf.add(x, map(found, 'self_attn.o_proj'));
    const inner = norm(between, 'post_attention_layernorm');
    const wide = gated(map(inner, 'mlp.gate_proj'), map(inner, 'mlp.up_proj'));
    return { output: tf.add(between, map(wide, 'mlp.down_proj')), own };
  };
}
