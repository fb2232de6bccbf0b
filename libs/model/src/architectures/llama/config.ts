/** `config.json` of the Llama family, in the spelling of transformers 5 and in the older ones, both ways. */
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
import type { Rope } from './rope.js';
import { DEFAULT_THETA, parseRope, ropeFields, ropeJson } from './rope-json.js';

export interface LlamaConfig extends ModelConfig {
  readonly architecture: 'llama' | 'mistral' | 'qwen2' | 'qwen3';
  /** Heads of queries in a layer. */
  readonly heads: number;
  /** Heads of keys and values; divides `heads`. */
  readonly kvHeads: number;
  /** The width of a head; even. */
  readonly headWidth: number;
  /** The size of the hidden layer of the feed-forward part. */
  readonly mlpWidth: number;
  readonly normEpsilon: number;
  readonly rope: Rope;
  /** A token sees itself and the `slidingWindow - 1` tokens before it; without it, all of them. */
  readonly slidingWindow?: number;
  /** Which linear maps have biases: those to queries, keys and values; from attention; of the feed-forward part. */
  readonly biases: { readonly qkv: boolean; readonly output: boolean; readonly mlp: boolean };
  /** Whether each head of queries and keys is normalised before it is turned. */
  readonly queryKeyNorms: boolean;
}

/** Fields that some members have, and others do not know. */
export interface OwnFields {
  readonly attention_bias: boolean;
  readonly mlp_bias: boolean;
  readonly sliding_window: number | null;
}

export interface Member {
  readonly name: LlamaConfig['architecture'];
  readonly classes: ModelClasses;
  /** What transformers takes where `config.json` says nothing. */
  readonly defaults: {
    readonly vocabSize: number;
    readonly contextLength: number;
    readonly mlpWidth: number;
    /** Default: as many as heads. */
    readonly kvHeads?: number;
    /** Default: width / heads. */
    readonly headWidth?: number;
    readonly bosTokenId?: number;
    readonly eosTokenId?: number;
  };
  readonly own: readonly (keyof OwnFields)[];
  /** Switches of this member that are computed one way only. */
  readonly computation?: z.ZodType;
  /** What is computed, from the fields that are its own. */
  readonly parts: (fields: OwnFields) => Pick<LlamaConfig, 'biases' | 'queryKeyNorms' | 'slidingWindow'>;
}

const NORM_EPSILON = 1e-6;

const ownFields = {
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  sliding_window: size(2 ** 24)
    .nullable()
    .default(4096),
};

const schemaOf = ({ classes, defaults }: Member) =>
  z.looseObject({
    ...commonFields(classes),
    ...ropeFields,
    ...ownFields,
    vocab_size: size(2 ** 21).default(defaults.vocabSize),
    max_position_embeddings: size(2 ** 24).default(defaults.contextLength),
    hidden_size: size(2 ** 20).default(4096),
    intermediate_size: size(2 ** 24).default(defaults.mlpWidth),
    num_hidden_layers: size(1024).default(32),
    num_attention_heads: size(2 ** 16).default(32),
    num_key_value_heads: size(2 ** 16)
      .nullable()
      .default(defaults.kvHeads ?? null),
    head_dim: size(2 ** 16)
      .nullable()
      .default(defaults.headWidth ?? null),
    rms_norm_eps: z.number().positive().max(1).default(NORM_EPSILON),
    tie_word_embeddings: z.boolean().default(false),
  });

/** Switches of all members that this package computes one way only. */
const computation = z.looseObject({
  hidden_act: z.enum(['silu', 'swish']).default('silu'),
  attention_dropout: z.literal(0).nullish(),
  quantization_config: z.null().optional(),
});

export const parseConfigOf =
  (member: Member) =>
  (json: unknown, source: string): LlamaConfig => {
    const schema = schemaOf(member);
    const fields = checked(schema, json, 'MODEL_CONFIG_INVALID', source);
    checked(computation, fields, 'MODEL_CONFIG_UNSUPPORTED', source);
    if (member.computation) checked(member.computation, fields, 'MODEL_CONFIG_UNSUPPORTED', source);
    // What a member does not know, and how a file spells RoPE, is written back as it came.
    const asItCame = new Set([...Object.keys(ropeFields), ...Object.keys(ownFields)]);
    for (const key of member.own) asItCame.delete(key);
    return {
      architecture: member.name,
      vocabSize: fields.vocab_size,
      contextLength: fields.max_position_embeddings,
      width: fields.hidden_size,
      layers: fields.num_hidden_layers,
      ...headsOf(fields, source),
      mlpWidth: fields.intermediate_size,
      normEpsilon: fields.rms_norm_eps,
      rope: parseRope(fields, source),
      ...member.parts(fields),
      head: headOf(fields, member.classes),
      tieWordEmbeddings: fields.tie_word_embeddings,
      ...specialTokens(fields, member.defaults, source),
      ...extraFields(
        json as Readonly<Record<string, unknown>>,
        Object.keys(schema.shape).filter((key) => !asItCame.has(key)),
      ),
    };
  };

export const configJsonOf = (member: Member) => (config: LlamaConfig) => {
  const own: OwnFields = {
    attention_bias: config.biases.qkv,
    mlp_bias: config.biases.mlp,
    sliding_window: config.slidingWindow ?? null,
  };
  return {
    hidden_act: 'silu',
    ...ropeJson(config.rope),
    ...config.extra,
    ...commonJson(config, member.classes),
    ...Object.fromEntries(member.own.map((key) => [key, own[key]])),
    max_position_embeddings: config.contextLength,
    hidden_size: config.width,
    intermediate_size: config.mlpWidth,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headWidth,
    rms_norm_eps: config.normEpsilon,
  };
};

export const newConfigOf =
  (member: Member) =>
  ({ kvHeads, mlpWidth, ...size }: ModelSize): LlamaConfig => ({
    architecture: member.name,
    ...size,
    kvHeads: kvHeads ?? size.heads,
    headWidth: size.width / size.heads,
    mlpWidth: mlpWidth ?? gatedWidth(size.width),
    normEpsilon: NORM_EPSILON,
    rope: { theta: DEFAULT_THETA, type: 'default' },
    ...member.parts({ attention_bias: false, mlp_bias: false, sliding_window: null }),
    head: { kind: 'language' },
    tieWordEmbeddings: true,
  });

/** Three matrices of this width have as many parameters as two that are four times as wide as the model (Shazeer 2020). */
const gatedWidth = (width: number): number => 32 * Math.ceil((8 * width) / 3 / 32);

/** @throws ModelError MODEL_CONFIG_INVALID */
function headsOf(
  fields: z.output<ReturnType<typeof schemaOf>>,
  source: string,
): Pick<LlamaConfig, 'heads' | 'kvHeads' | 'headWidth'> {
  const { hidden_size: width, num_attention_heads: heads } = fields;
  const kvHeads = fields.num_key_value_heads ?? heads;
  const headWidth = fields.head_dim ?? width / heads;
  const problem =
    heads % kvHeads !== 0
      ? `num_attention_heads must be a multiple of num_key_value_heads, got ${heads} and ${kvHeads}`
      : !Number.isInteger(headWidth)
        ? `hidden_size must be a multiple of num_attention_heads where there is no head_dim, got ${width} and ${heads}`
        : headWidth % 2 !== 0
          ? `head_dim must be even, got ${headWidth}`
          : undefined;
  if (problem) throw new ModelError('MODEL_CONFIG_INVALID', `${source}: ${problem}.`);
  return { heads, kvHeads, headWidth };
}
