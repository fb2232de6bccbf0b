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
import { attendToCache, cacheMask, causalMask, pastMask } from '../masks.js';
import { type Layer, throughLayers } from '../recomputation.js';
import type { Gpt2Config } from './config.js';
import { gelu, layerNorm } from './ops.js';

/** What queries [B, H, T, K], divided by sqrt(K), find in the keys and values of a layer: like the queries. */
type Attend = (q: tf.Tensor, own: LayerCache) => tf.Tensor;

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
  const { width: D, layers } = config;
  const mask = causalMask(T);
  const tokens = tf.reshape(tf.gather(p['wte.weight']!, tf.reshape(ids, [B * T])), [B, T, D]);
  const positions = tf.slice(p['wpe.weight']!, [0, 0], [T, D]);
  const x = tf.reshape(tf.add(tokens, positions), [B * T, D]);

  const layer =
    (index: number): Layer =>
    (x, p, { mask, at }) => {
      const attend: Attend = (q, { keys, values }) => {
        const scores = tf.add(tf.matMul(q, keys, false, true), mask!);
        return tf.matMul(tf.softmax(scores), values);
      };
      return block(config, p, x, index, { shape: [B, T], attend, at });
    };
  const all = Array.from({ length: layers }, (_, index) => ({ layer: layer(index), prefix: nameOf(index) }));
  const { output, cache } = throughLayers(all, x, p, { mask }, at);
  return { hidden: finalNorm(config, p, output), cache };
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
  const mask = pastMask(positions, C);
  const x = tf.add(
    tf.gather(p['wte.weight']!, ids as tf.Tensor1D),
    tf.gather(p['wpe.weight']!, positions as tf.Tensor1D),
  );

  const attend = (index: number): Attend => {
    const past = cache[index]!;
    return (q, own) => {
      const scores = tf.concat(
        [tf.add(tf.matMul(q, past.keys, false, true), mask), tf.sum(tf.mul(q, own.keys), -1, true)],
        -1,
      );
      const [toPast, toSelf] = tf.split(tf.softmax(scores), [C, 1], -1);
      return tf.add(tf.matMul(toPast!, past.values), tf.mul(toSelf!, own.values));
    };
  };
  return blocks(config, p, x, { shape: [B, 1], attend });
}

/**
 * One step of generation whose keys and values are in the cache before a layer attends to it.
 * @param ids [B] int32
 * @param positions [B] int32
 * @param store puts keys and values [B, H, 1, K] of a layer at `positions`, and gives its cache [B, H, C, K]
 * @returns hidden [B, D]
 */
export function stepInto(
  config: Gpt2Config,
  p: Parameters,
  ids: tf.Tensor,
  positions: tf.Tensor,
  capacity: number,
  store: (layer: number, own: LayerCache) => LayerCache,
): tf.Tensor2D {
  const x = tf.add(
    tf.gather(p['wte.weight']!, ids as tf.Tensor1D),
    tf.gather(p['wpe.weight']!, positions as tf.Tensor1D),
  );
  const mask = cacheMask(positions, capacity);
  const attend =
    (index: number): Attend =>
    (q, own) =>
      attendToCache(q, store(index, own), mask);
  return blocks(config, p, x, { shape: [ids.shape[0]!, 1], attend }).hidden;
}

/**
 * Some tokens further, as a prompt is read in parts: each attends to its row's cache and to those before it.
 * @param ids [B, T] int32
 * @param positions [B] int32: the tokens already in the row's cache
 * @param cache as of `step`
 * @param at [N] int32, of 0 .. B * T - 1
 * @returns hidden [N, D], and the keys and values [B, H, T, K] to put at `positions` and behind it
 */
export function extend(
  config: Gpt2Config,
  p: Parameters,
  ids: tf.Tensor,
  positions: tf.Tensor,
  cache: readonly LayerCache[],
  at: tf.Tensor,
): { hidden: tf.Tensor2D; added: LayerCache[] } {
  const [B, T] = ids.shape as [number, number];
  const C = cache[0]!.keys.shape[2]!;
  const [past, own] = [pastMask(positions, C), causalMask(T)];
  const places = tf.add(tf.reshape(positions, [B, 1]), tf.range(0, T, 1, 'int32'));
  // Padding behind the last token may lie behind the last position.
  const known = tf.minimum(places, tf.scalar(config.contextLength - 1, 'int32'));
  const x = tf.add(
    tf.gather(p['wte.weight']!, tf.reshape(ids, [B * T])),
    tf.gather(p['wpe.weight']!, tf.reshape(known, [B * T])),
  ) as tf.Tensor2D;

  const attend = (index: number): Attend => {
    const { keys, values } = cache[index]!;
    return (q, { keys: k, values: v }) => {
      const scores = tf.concat(
        [tf.add(tf.matMul(q, keys, false, true), past), tf.add(tf.matMul(q, k, false, true), own)],
        -1,
      );
      const [toPast, toOwn] = tf.split(tf.softmax(scores), [C, T], -1);
      return tf.add(tf.matMul(toPast!, values), tf.matMul(toOwn!, v));
    };
  };
  return blocks(config, p, x, { shape: [B, T], attend, at });
}

export const cacheShape = ({ width, heads }: Gpt2Config, rows: number, capacity: number) =>
  [rows, heads, capacity, width / heads] as const;

/** The output matrix [V, D], which is the token embedding unless the model has its own. */
export const outputMatrix = (config: Gpt2Config, p: Parameters): tf.Tensor2D =>
  p[config.tieWordEmbeddings ? 'wte.weight' : 'lm_head.weight'] as tf.Tensor2D;

export const languageHead = (config: Gpt2Config, p: Parameters, hidden: tf.Tensor2D): tf.Tensor2D =>
  logits(hidden, outputMatrix(config, p));

/** All layers of tokens that attend to a cache. */
function blocks(
  config: Gpt2Config,
  p: Parameters,
  input: tf.Tensor,
  {
    shape,
    attend,
    at,
  }: {
    readonly shape: readonly [number, number];
    readonly attend: (index: number) => Attend;
    readonly at?: tf.Tensor;
  },
): { hidden: tf.Tensor2D; added: LayerCache[] } {
  let x = input;
  const added: LayerCache[] = [];
  for (let index = 0; index < config.layers; index++) {
    const asked = index === config.layers - 1 ? at : undefined;
    const { output, own } = block(config, p, x, index, { shape, attend: attend(index), at: asked });
    x = output;
    added.push(own);
  }
  return { hidden: finalNorm(config, p, x), added };
}

const nameOf = (index: number): string => `h.${index}.`;

const layerNormOf = ({ layerNormEpsilon }: Gpt2Config, p: Parameters, x: tf.Tensor, name: string) =>
  layerNorm(x, p[`${name}.weight`]!, p[`${name}.bias`]!, layerNormEpsilon);

const finalNorm = (config: Gpt2Config, p: Parameters, x: tf.Tensor): tf.Tensor2D =>
  layerNormOf(config, p, x, 'ln_f') as tf.Tensor2D;

/**
 * A layer of its input [B * T, D].
 * @returns its output, [N, D] where only the tokens `at` [N] are asked for; and its keys and values [B, H, T, K]
 */
function block(
  config: Gpt2Config,
  p: Parameters,
  input: tf.Tensor,
  index: number,
  {
    shape: [B, T],
    attend,
    at,
  }: {
    readonly shape: readonly [number, number];
    readonly attend: Attend;
    readonly at?: tf.Tensor | undefined;
  },
): { output: tf.Tensor; own: LayerCache } {
  const { width: D, heads: H } = config;
  const K = D / H;
  const name = nameOf(index);
  const map = (x: tf.Tensor, module: string) => linear(config, p, x, name + module, { fanInFanOut: true });
  const norm = (x: tf.Tensor, module: string) => layerNormOf(config, p, x, name + module);
  const toHeads = (x: tf.Tensor) =>
    T === 1 ? tf.reshape(x, [B, H, 1, K]) : tf.transpose(tf.reshape(x, [B, T, H, K]), [0, 2, 1, 3]);
  const fromHeads = (x: tf.Tensor) => tf.reshape(T === 1 ? x : tf.transpose(x, [0, 2, 1, 3]), [B * T, D]);

  const qkv = map(norm(input, 'ln_1'), 'attn.c_attn');
  const [q, keys, values] = tf.split(qkv, 3, -1).map(toHeads) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const own = { keys, values };
  const attended = fromHeads(attend(tf.mul(q, 1 / Math.sqrt(K)), own));
  const [x, found] = at ? [tf.gather(input, at), tf.gather(attended, at)] : [input, attended];
  const between = tf.add(x, map(found, 'attn.c_proj'));
  const wide = gelu(map(norm(between, 'ln_2'), 'mlp.c_fc'));
  return { output: tf.add(between, map(wide, 'mlp.c_proj')), own };
}
