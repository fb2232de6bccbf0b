/** What is known of a model without its weights. */
import { ModelError } from './errors.js';

/** What every model has, whatever its architecture. Further fields are its architecture's own. */
export interface ModelConfig {
  /** Name of the architecture, which is `model_type` in `config.json`. */
  readonly architecture: string;
  readonly vocabSize: number;
  /** The longest sequence, prompt and completion together, in tokens. */
  readonly contextLength: number;
  /** The size of a hidden state. */
  readonly width: number;
  readonly layers: number;
  readonly head: Head;
  /** Whether the output matrix of a language head is the token embedding. */
  readonly tieWordEmbeddings: boolean;
  /** Begins a text that has no other beginning. */
  readonly bosTokenId?: number;
  /** Tokens at any of which generation ends, by `config.json`; there is at least one. */
  readonly eosTokenIds?: readonly number[];
  /** Fills rows up, and is no part of a text. */
  readonly padTokenId?: number;
  /** The low-rank adapter that the model is its base with. */
  readonly adapter?: Adapter;
  /** How the checkpoint was stored that the model began as, where that was not float32 in one file. */
  readonly storedAs?: StoredAs;
  /** Fields of the original `config.json` that change nothing here; they are written back as they came. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** What an export gives back, whatever was computed in. */
export interface StoredAs {
  readonly dtype: 'float32' | 'float16' | 'bfloat16';
  /** Bytes of tensors in the largest of its shards; undefined where it was one file. */
  readonly maxShardBytes?: number;
  /** The order in which tensors went into shards: that of the model, if not given, or of their names. */
  readonly shardOrder?: 'name';
}

/** Low-rank adapters on linear maps of a model (LoRA, Hu et al. 2021), in PEFT's terms: W + scale B A in place of W. */
export interface Adapter {
  /** Rows of A and columns of B: `r`. */
  readonly rank: number;
  readonly alpha: number;
  /** The scale is alpha / sqrt(rank) (Kalajdzievski 2023) instead of alpha / rank. */
  readonly rslora: boolean;
  /** The linear maps that have A and B, by names of the architecture's `linears`. */
  readonly targetModules: readonly string[];
  /** Modules that are learned in full: their tensors are the adapter's, as those of a new head are. */
  readonly modulesToSave: readonly string[];
}

/** What B A is multiplied by. */
export const adapterScale = ({ rank, alpha, rslora }: Adapter): number =>
  alpha / (rslora ? Math.sqrt(rank) : rank);

/** What stands on the last hidden state: logits of the next token, or `labels` numbers for a sequence. */
export type Head = { readonly kind: 'language' } | ScalarHead;

export interface ScalarHead {
  readonly kind: 'scalar';
  readonly labels: number;
  /** Subtracted from what the head gives, which has no bias: a reward model's demonstrations score 0 then. */
  readonly offset?: number;
}

/** What a new model is asked for by; everything else is its architecture's convention. */
export interface ModelSize
  extends Pick<ModelConfig, 'vocabSize' | 'contextLength' | 'width' | 'layers'>,
    Partial<Pick<ModelConfig, 'bosTokenId' | 'eosTokenIds' | 'padTokenId'>> {
  /** Attention heads of a layer; they divide the width. */
  readonly heads: number;
  /** Heads with keys and values, where the architecture shares them between heads; they divide the heads. */
  readonly kvHeads?: number;
  /** The size of the hidden layer of the feed-forward part. */
  readonly mlpWidth?: number;
}

export type ModelKind = 'language model' | 'reward model' | 'classifier';

/** A reward model gives a sequence one number, a classifier several. */
export function modelKind({ head }: Pick<ModelConfig, 'head'>): ModelKind {
  if (head.kind === 'language') return 'language model';
  return head.labels === 1 ? 'reward model' : 'classifier';
}

/** The model with a head that gives one number, a reward or a value, in place of its own. */
export const withScalarHead = (config: ModelConfig): ModelConfig => ({
  ...config,
  head: { kind: 'scalar', labels: 1 },
});

/** @throws ModelError MODEL_ROLE when a model of another kind came; `role` names what it was to be. */
export function expectKind(role: string, kind: ModelKind, config: ModelConfig): void {
  const came = modelKind(config);
  if (came !== kind)
    throw new ModelError('MODEL_ROLE', `expected the ${role} to be a ${kind}, got a ${came}`);
}

/** Equal for models that the same programs compute. */
export const shapeKey = ({
  extra: _,
  storedAs: _s,
  bosTokenId: _b,
  eosTokenIds: _e,
  padTokenId: _p,
  ...shape
}: ModelConfig): string => JSON.stringify(shape);
