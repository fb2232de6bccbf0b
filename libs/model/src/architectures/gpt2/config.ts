/** `config.json` of a GPT-2, in the spelling of transformers 5 and in the older ones, both ways. */
import { z } from 'zod';
import { ModelError } from '../../errors.js';
import type { ModelConfig, ModelSize } from '../../model-config.js';
import {
  checked,
  commonFields,
  commonJson,
  extraFields,
  headOf,
  type ModelClasses,
  size,
  specialTokens,
} from '../config-json.js';

export interface Gpt2Config extends ModelConfig {
  readonly architecture: 'gpt2';
  /** Attention heads of a layer; divides `width`. */
  readonly heads: number;
  /** The size of the hidden layer of the feed-forward part. */
  readonly mlpWidth: number;
  readonly layerNormEpsilon: number;
}

/** Names other architectures use, which transformers' GPT2Config takes as well. */
const ALIASES = new Map([
  ['hidden_size', 'n_embd'],
  ['max_position_embeddings', 'n_positions'],
  ['num_attention_heads', 'n_head'],
  ['num_hidden_layers', 'n_layer'],
]);

const CLASSES: ModelClasses = {
  trunk: 'GPT2Model',
  language: 'GPT2LMHeadModel',
  scalar: 'GPT2ForSequenceClassification',
};
const END_OF_TEXT = 50256;
const LAYER_NORM_EPSILON = 1e-5;

const schema = z.looseObject({
  ...commonFields(CLASSES),
  vocab_size: size(2 ** 21).default(50257),
  n_positions: size(2 ** 24).default(1024),
  n_embd: size(2 ** 20).default(768),
  n_layer: size(1024).default(12),
  n_head: size(2 ** 16).default(12),
  n_inner: size(2 ** 24).nullish(),
  layer_norm_epsilon: z.number().positive().max(1).default(LAYER_NORM_EPSILON),
  tie_word_embeddings: z.boolean().default(true),
});

/** Switches of the architecture that this package computes one way only. */
const computation = z.looseObject({
  activation_function: z.literal('gelu_new').default('gelu_new'),
  scale_attn_weights: z.literal(true).default(true),
  scale_attn_by_inverse_layer_idx: z.literal(false).default(false),
  add_cross_attention: z.literal(false).default(false),
});

export function parseConfig(json: unknown, source: string): Gpt2Config {
  const fields = checked(schema, withoutAliases(json), 'MODEL_CONFIG_INVALID', source);
  checked(computation, fields, 'MODEL_CONFIG_UNSUPPORTED', source);
  const { n_embd: width, n_head: heads } = fields;
  if (width % heads !== 0) {
    throw new ModelError(
      'MODEL_CONFIG_INVALID',
      `${source}: n_embd must be a multiple of n_head, got ${width} and ${heads}.`,
    );
  }
  return {
    architecture: 'gpt2',
    vocabSize: fields.vocab_size,
    contextLength: fields.n_positions,
    width,
    layers: fields.n_layer,
    heads,
    mlpWidth: fields.n_inner ?? 4 * width,
    layerNormEpsilon: fields.layer_norm_epsilon,
    head: headOf(fields, CLASSES),
    tieWordEmbeddings: fields.tie_word_embeddings,
    ...specialTokens(fields, { bosTokenId: END_OF_TEXT, eosTokenId: END_OF_TEXT }, source),
    ...extraFields(fields, [...Object.keys(schema.shape), 'n_ctx']),
  };
}

export const configJson = (config: Gpt2Config): Record<string, unknown> => ({
  activation_function: 'gelu_new',
  ...config.extra,
  ...commonJson(config, CLASSES),
  n_positions: config.contextLength,
  n_embd: config.width,
  n_layer: config.layers,
  n_head: config.heads,
  n_inner: config.mlpWidth === 4 * config.width ? null : config.mlpWidth,
  layer_norm_epsilon: config.layerNormEpsilon,
});

export const newConfig = ({ kvHeads: _, mlpWidth, ...size }: ModelSize): Gpt2Config => ({
  architecture: 'gpt2',
  ...size,
  mlpWidth: mlpWidth ?? 4 * size.width,
  layerNormEpsilon: LAYER_NORM_EPSILON,
  head: { kind: 'language' },
  tieWordEmbeddings: true,
});

function withoutAliases(json: unknown): unknown {
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [ALIASES.get(key) ?? key, value]));
}
