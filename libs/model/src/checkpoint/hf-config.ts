/** `config.json` of a Hugging Face GPT-2, in the spelling of transformers 5 and in the older ones, both ways. */
import { z } from 'zod';
import { ModelError } from '../errors.js';

/** The shape of a model, in this project's words. */
export interface ModelConfig {
  architecture: 'gpt2';
  vocabSize: number;
  /** The longest sequence, prompt and completion together, in tokens. */
  contextLength: number;
  /** The size of a hidden state. */
  width: number;
  layers: number;
  /** Attention heads of a layer; divides `width`. */
  heads: number;
  /** The size of the hidden layer of the feed-forward part. */
  mlpWidth: number;
  layerNormEpsilon: number;
  bosTokenId?: number;
  eosTokenId?: number;
  padTokenId?: number;
  /** Whether the output matrix is the token embedding. */
  tieWordEmbeddings: boolean;
  /** Of a reward model: the number of scores per sequence (`score.weight` is [numLabels, width]). Absent: a language model. */
  numLabels?: number;
  /** Fields of the original `config.json` that change nothing here; written back as they came. */
  extra?: Readonly<Record<string, unknown>>;
}

/** Equal for models that the same programs compute. */
export const shapeKey = ({
  extra: _,
  bosTokenId: _b,
  eosTokenId: _e,
  padTokenId: _p,
  ...shape
}: ModelConfig): string => JSON.stringify(shape);

/** Names other architectures use, which transformers' GPT2Config takes as well. */
const ALIASES = {
  hidden_size: 'n_embd',
  max_position_embeddings: 'n_positions',
  num_attention_heads: 'n_head',
  num_hidden_layers: 'n_layer',
} as const;

const ARCHITECTURES = ['GPT2Model', 'GPT2LMHeadModel', 'GPT2ForSequenceClassification'] as const;
const GPT2_END_OF_TEXT = 50256;

const size = (max: number) => z.int().positive().max(max);
const tokenId = z.int().nonnegative().nullish();

const schema = z.looseObject({
  model_type: z.literal('gpt2'),
  architectures: z.array(z.enum(ARCHITECTURES)).length(1).nullish(),
  vocab_size: size(2 ** 21).default(50257),
  n_positions: size(2 ** 24).default(1024),
  n_embd: size(2 ** 20).default(768),
  n_layer: size(1024).default(12),
  n_head: size(2 ** 16).default(12),
  n_inner: size(2 ** 24).nullish(),
  layer_norm_epsilon: z.number().positive().max(1).default(1e-5),
  bos_token_id: tokenId,
  eos_token_id: tokenId,
  pad_token_id: tokenId,
  tie_word_embeddings: z.boolean().default(true),
  num_labels: size(2 ** 16).optional(),
  id2label: z.record(z.string(), z.string()).nullish(),
});

/** Switches of the architecture that this package computes one way only. */
const computation = z.looseObject({
  activation_function: z.literal('gelu_new').default('gelu_new'),
  scale_attn_weights: z.literal(true).default(true),
  scale_attn_by_inverse_layer_idx: z.literal(false).default(false),
  add_cross_attention: z.literal(false).default(false),
});

/** Said anew by {@link toHuggingFace}, from the model's own numbers. */
const DERIVED = new Set([...Object.keys(schema.shape), 'n_ctx', 'label2id', 'dtype', 'torch_dtype']);

/**
 * Reads a parsed `config.json`; what is missing gets GPT-2's default, as in transformers.
 * @param source names the file in errors
 * @throws MODEL_CONFIG_INVALID, MODEL_CONFIG_UNSUPPORTED
 */
export function parseHuggingFaceConfig(json: unknown, source = 'config.json'): ModelConfig {
  const fields = checked(schema, renamed(json), 'MODEL_CONFIG_INVALID', source);
  checked(computation, fields, 'MODEL_CONFIG_UNSUPPORTED', source);
  const { n_embd: width, n_head: heads, vocab_size: vocabSize } = fields;
  if (width % heads !== 0) {
    throw new ModelError(
      'MODEL_CONFIG_INVALID',
      `${source}: n_embd must be a multiple of n_head, got ${width} and ${heads}.`,
    );
  }
  const extra = Object.fromEntries(Object.entries(fields).filter(([key]) => !DERIVED.has(key)));
  return {
    architecture: 'gpt2',
    vocabSize,
    contextLength: fields.n_positions,
    width,
    layers: fields.n_layer,
    heads,
    mlpWidth: fields.n_inner ?? 4 * width,
    layerNormEpsilon: fields.layer_norm_epsilon,
    ...specialToken('bosTokenId', 'bos_token_id', GPT2_END_OF_TEXT),
    ...specialToken('eosTokenId', 'eos_token_id', GPT2_END_OF_TEXT),
    ...specialToken('padTokenId', 'pad_token_id', undefined),
    tieWordEmbeddings: fields.tie_word_embeddings,
    ...(fields.architectures?.[0] === 'GPT2ForSequenceClassification' && { numLabels: labelCount(fields) }),
    ...(Object.keys(extra).length > 0 && { extra }),
  };

  function specialToken(
    name: 'bosTokenId' | 'eosTokenId' | 'padTokenId',
    key: 'bos_token_id' | 'eos_token_id' | 'pad_token_id',
    fallback: number | undefined,
  ): Partial<ModelConfig> {
    const given = fields[key];
    // GPT-2's own id means nothing in a smaller vocabulary that does not mention it.
    const id = given === undefined && fallback !== undefined && fallback < vocabSize ? fallback : given;
    if (id === undefined || id === null) return {};
    if (id >= vocabSize) {
      throw new ModelError(
        'MODEL_CONFIG_INVALID',
        `${source}: ${key} must be less than vocab_size (${vocabSize}), got ${id}.`,
      );
    }
    return { [name]: id };
  }
}

/** The `config.json` of a model, as transformers reads it. */
export function toHuggingFace(config: ModelConfig): Record<string, unknown> {
  const labels = Array.from({ length: config.numLabels ?? 0 }, (_, i) => `LABEL_${i}`);
  return {
    activation_function: 'gelu_new',
    ...config.extra,
    architectures: [config.numLabels === undefined ? 'GPT2LMHeadModel' : 'GPT2ForSequenceClassification'],
    model_type: 'gpt2',
    dtype: 'float32',
    vocab_size: config.vocabSize,
    n_positions: config.contextLength,
    n_embd: config.width,
    n_layer: config.layers,
    n_head: config.heads,
    n_inner: config.mlpWidth === 4 * config.width ? null : config.mlpWidth,
    layer_norm_epsilon: config.layerNormEpsilon,
    bos_token_id: config.bosTokenId ?? null,
    eos_token_id: config.eosTokenId ?? null,
    pad_token_id: config.padTokenId ?? null,
    tie_word_embeddings: config.tieWordEmbeddings,
    ...(config.numLabels !== undefined && {
      num_labels: config.numLabels,
      id2label: Object.fromEntries(labels.map((label, i) => [i, label])),
      label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
    }),
  };
}

function renamed(json: unknown): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json;
  const aliases = new Map<string, string>(Object.entries(ALIASES));
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [aliases.get(key) ?? key, value]));
}

function labelCount(fields: z.output<typeof schema>): number {
  // transformers writes no num_labels, and no id2label where there are two.
  return fields.num_labels ?? (fields.id2label ? Object.keys(fields.id2label).length : 2);
}

function checked<T extends z.ZodType>(
  type: T,
  value: unknown,
  code: `MODEL_${string}`,
  source: string,
): z.output<T> {
  const parsed = type.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    ({ path, message }) => `${path.length > 0 ? `${path.join('.')}: ` : ''}${message}`,
  );
  throw new ModelError(code, `${source}: ${problems.join('; ')}`, { cause: parsed.error });
}
