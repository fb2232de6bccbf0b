/**
 * What an architecture (GPT-2, Llama) is to the rest of the project. Checkpoints, generation, scoring and training ask
 * this object; names of tensors, keys of `config.json` and the computation itself are known to its folder alone.
 *
 * Shapes: B rows, T tokens, D width, V vocabulary, H heads with keys and values, K width of such a head, C capacity.
 */
import type * as tf from '@tensorflow/tfjs';
import type { ModelConfig, ModelSize } from './model-config.js';

/** A tensor that a model learns. */
export interface LearnedTensor {
  readonly shape: readonly number[];
  /**
   * Before training: one constant, or draws around 0, from a normal distribution with this standard deviation or uniform
   * within this bound.
   */
  readonly initial:
    | { readonly constant: number }
    | { readonly deviation: number }
    | { readonly bound: number };
  /** Whether weight decay applies to it. */
  readonly decay: boolean;
  /** Whether it belongs to the head, and not to the trunk that models with other heads have too. */
  readonly ofHead: boolean;
}

/** A linear map x -> x W + b, whose tensors are `NAME.weight` and, where it has one, `NAME.bias`. */
export interface LinearMap {
  readonly from: number;
  readonly to: number;
  /** Whether `NAME.weight` is [from, to], as GPT-2's is; else it is [to, from]. */
  readonly fanInFanOut: boolean;
}

/** The learned tensors by name, as tensors of a program. */
export type Parameters = Readonly<Record<string, tf.Tensor>>;

/** Keys and values of one layer, [B, H, T, K]. */
export interface LayerCache {
  readonly keys: tf.Tensor;
  readonly values: tf.Tensor;
}

export interface Architecture<Config extends ModelConfig = ModelConfig> {
  readonly name: Config['architecture'];

  /**
   * Reads a parsed `config.json` of this `model_type`; what is missing gets the default that transformers has.
   * @param source names the file in errors
   * @throws ModelError MODEL_CONFIG_INVALID, MODEL_CONFIG_UNSUPPORTED
   */
  parseConfig(json: unknown, source: string): Config;
  /** The `config.json` of a model, as transformers reads it. */
  configJson(config: Config): Record<string, unknown>;
  /** A language model of this size that is yet to be made. */
  newConfig(size: ModelSize): Config;

  /** Every learned tensor by its name, in the order of a checkpoint. Layers are alike: each adds the same shapes. */
  tensors(config: Config): ReadonlyMap<string, LearnedTensor>;
  /** The linear maps of the trunk by their names, in the order of its layers: what an adapter can be on. */
  linears(config: Config): ReadonlyMap<string, LinearMap>;
  /** The name in `tensors` of what a file stores under `stored`; undefined where that was not learned, as a mask. */
  nameOf(stored: string): string | undefined;
  /** The name under which transformers stores a tensor. */
  storedName(name: string): string;
  /** Tensors that a file may hold although each is another one over again: copy -> original. */
  copies(config: Config): ReadonlyMap<string, string>;

  /**
   * Final hidden states of whole sequences, which start at position 0 and are padded on the right.
   * @param ids [B, T] int32
   * @param at [N] int32: the tokens whose states are asked for, t + b * T for token t of row b; default: all
   * @returns hidden [N, D], or [B * T, D]; and for each layer the keys and values of all T tokens
   */
  forward(
    config: Config,
    p: Parameters,
    ids: tf.Tensor,
    at?: tf.Tensor,
  ): { hidden: tf.Tensor2D; cache: LayerCache[] };
  /**
   * One decode step: a token a row, each at its own position, attending to the row's cache and to itself.
   * @param ids [B] int32
   * @param positions [B] int32: the tokens already in the row's cache
   * @param cache for each layer [B, H, C, K], of which the first `positions[b]` entries count
   * @returns hidden [B, D], and for each layer the keys and values [B, H, 1, K] to put at `positions`
   */
  step(
    config: Config,
    p: Parameters,
    ids: tf.Tensor,
    positions: tf.Tensor,
    cache: readonly LayerCache[],
  ): { hidden: tf.Tensor2D; added: LayerCache[] };
  /**
   * The same where a cache can be written while a program runs: a layer attends to its cache alone, which has the token's
   * own keys and values by then.
   * @param store puts keys and values [B, H, 1, K] of a layer at `positions`, and gives its cache [B, H, C, K]
   * @returns hidden [B, D]
   */
  stepInto(
    config: Config,
    p: Parameters,
    ids: tf.Tensor,
    positions: tf.Tensor,
    capacity: number,
    store: (layer: number, own: LayerCache) => LayerCache,
  ): tf.Tensor2D;
  /**
   * Some tokens further, as a prompt is read in parts: T tokens a row, which follow the row's cache.
   * @param ids [B, T] int32, padded on the right
   * @param positions [B] int32: the tokens already in the row's cache
   * @param cache as of `step`
   * @param at [N] int32: as of `forward`
   * @returns hidden [N, D], and for each layer the keys and values [B, H, T, K] to put at `positions` and behind it
   */
  extend(
    config: Config,
    p: Parameters,
    ids: tf.Tensor,
    positions: tf.Tensor,
    cache: readonly LayerCache[],
    at: tf.Tensor,
  ): { hidden: tf.Tensor2D; added: LayerCache[] };
  /** Shape of the keys, and of the values, of one layer: [B, H, C, K]. */
  cacheShape(config: Config, rows: number, capacity: number): readonly [number, number, number, number];

  /** The output matrix [V, D] of a language model. */
  outputMatrix(config: Config, p: Parameters): tf.Tensor2D;
  /** Logits [N, V] of hidden states [N, D], which are its products with the output matrix. */
  languageHead(config: Config, p: Parameters, hidden: tf.Tensor2D): tf.Tensor2D;
  /** A reward or a value [N] of hidden states [N, D]. */
  scalarHead(config: Config, p: Parameters, hidden: tf.Tensor2D): tf.Tensor1D;

  /**
   * Numbers that a token takes of memory in a sequence of `length` tokens: `working` while one layer computes, `kept`
   * by every layer for the gradient.
   */
  activations(config: Config, length: number): { readonly working: number; readonly kept: number };
}
