/** The fields of `config.json` that every architecture of transformers has (its `PretrainedConfig`), both ways. */
import { z } from 'zod';
import { ModelError } from '../errors.js';
import type { Head, ModelConfig } from '../model-config.js';

/** The classes that transformers computes an architecture by; `architectures` names the one with the model's head. */
export interface ModelClasses {
  readonly trunk: string;
  readonly language: string;
  readonly scalar: string;
}

/** A positive integer up to `max`, beyond which a file is damaged rather than large. */
export const size = (max: number) => z.int().positive().max(max);
const tokenId = z.int().nonnegative().nullish();
const tokenIds = z.union([z.int().nonnegative(), z.array(z.int().nonnegative())]).nullish();

/** Their schemas, for the architecture's own to be added to. */
export const commonFields = ({ trunk, language, scalar }: ModelClasses) => ({
  model_type: z.string(),
  architectures: z
    .array(z.enum([trunk, language, scalar]))
    .length(1)
    .nullish(),
  bos_token_id: tokenId,
  eos_token_id: tokenIds,
  pad_token_id: tokenId,
  num_labels: size(2 ** 16).optional(),
  // Our own: transformers keeps it, and gives scores without it.
  score_offset: z.number().optional(),
  id2label: z.record(z.string(), z.string()).nullish(),
});
type CommonFields = z.output<z.ZodObject<ReturnType<typeof commonFields>>>;

const TOKENS = {
  bosTokenId: 'bos_token_id',
  eosTokenId: 'eos_token_id',
  padTokenId: 'pad_token_id',
} as const;
type TokenName = keyof typeof TOKENS;

/**
 * The ids of special tokens. Of those that end generation a file may name several.
 * @param defaults ids that transformers takes where the file names none
 * @throws ModelError MODEL_CONFIG_INVALID
 */
export function specialTokens(
  fields: CommonFields & { readonly vocab_size: number },
  defaults: { readonly [Name in TokenName]?: number },
  source: string,
): Pick<ModelConfig, 'bosTokenId' | 'eosTokenIds' | 'padTokenId'> {
  const { vocab_size: vocabSize } = fields;
  const idsOf = (name: TokenName): number[] => {
    const key = TOKENS[name];
    const fallback = defaults[name];
    // An architecture's own id means nothing in a smaller vocabulary that does not mention it.
    const given = fields[key] === undefined && (fallback ?? vocabSize) < vocabSize ? fallback : fields[key];
    const ids = [given ?? []].flat();
    const alien = ids.find((id) => id >= vocabSize);
    if (alien === undefined) return ids;
    throw new ModelError(
      'MODEL_CONFIG_INVALID',
      `${source}: ${key} must be less than vocab_size (${vocabSize}), got ${alien}.`,
    );
  };
  const [[bosTokenId], eosTokenIds, [padTokenId]] = [
    idsOf('bosTokenId'),
    idsOf('eosTokenId'),
    idsOf('padTokenId'),
  ];
  return {
    ...(bosTokenId !== undefined && { bosTokenId }),
    ...(eosTokenIds.length > 0 && { eosTokenIds }),
    ...(padTokenId !== undefined && { padTokenId }),
  };
}

export function headOf(fields: CommonFields, classes: ModelClasses): Head {
  if (fields.architectures?.[0] !== classes.scalar) return { kind: 'language' };
  // transformers writes no num_labels, and no id2label where there are two.
  const labels = fields.num_labels ?? (fields.id2label ? Object.keys(fields.id2label).length : 2);
  const { score_offset: offset } = fields;
  return { kind: 'scalar', labels, ...(offset !== undefined && { offset }) };
}

/** The fields that neither `known` nor {@link commonJson} says anew. */
export function extraFields(
  fields: Readonly<Record<string, unknown>>,
  known: readonly string[],
): Pick<ModelConfig, 'extra'> {
  const derived = new Set([...known, 'label2id', 'dtype', 'torch_dtype', 'stored_as']);
  const extra = Object.entries(fields).filter(([key]) => !derived.has(key));
  return extra.length > 0 ? { extra: Object.fromEntries(extra) } : {};
}

/** The fields of `config.json` that a model of any architecture has. */
export function commonJson(config: ModelConfig, classes: ModelClasses): Record<string, unknown> {
  const { head } = config;
  const labels = head.kind === 'scalar' ? Array.from({ length: head.labels }, (_, i) => `LABEL_${i}`) : [];
  return {
    architectures: [classes[head.kind]],
    model_type: config.architecture,
    dtype: 'float32',
    vocab_size: config.vocabSize,
    bos_token_id: config.bosTokenId ?? null,
    eos_token_id: oneOrAll(config.eosTokenIds),
    pad_token_id: config.padTokenId ?? null,
    tie_word_embeddings: config.tieWordEmbeddings,
    ...(head.kind === 'scalar' && {
      num_labels: head.labels,
      ...(head.offset !== undefined && { score_offset: head.offset }),
      id2label: Object.fromEntries(labels.map((label, i) => [i, label])),
      label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
    }),
  };
}

/** As transformers writes them: a single id by itself, several as a list. */
const oneOrAll = (ids: readonly number[] = []) => (ids.length > 1 ? ids : (ids[0] ?? null));

/** @throws ModelError of this code that names every field that does not fit. */
export function checked<T extends z.ZodType>(
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
