import type { Buffers } from '@rlhf-streams/tensor';
import { ModelError } from '../errors.js';
import type { ModelConfig } from '../model-config.js';
import type { PhiloxKey } from '../sampling/rollout-draws.js';
import type { SamplingOptions } from '../sampling/sampler.js';

/** One version of a model's parameters. Requests of one version are generated side by side. */
export interface Weights {
  readonly version: string;
  readonly parameters: Buffers;
}

export interface GenerationRequest {
  readonly weights: Weights;
  readonly promptTokens: readonly number[];
  readonly sampling: SamplingOptions;
  readonly maxNewTokens: number;
  /** The first tokens of the completion, taken as they are in place of drawn ones: to learn their log-probs. */
  readonly given?: readonly number[];
  /** Generation ends after any of these, which is kept as the last token. */
  readonly stopTokens: readonly number[];
  /** Draws are a function of this key and the token's position alone: `keyFor(seed, rolloutId)`. */
  readonly key: PhiloxKey;
  /** Milliseconds from the request on; then it fails with MODEL_GENERATION_TIMEOUT. Default: none. */
  readonly timeoutMs?: number;
  /**
   * Told of every token but a stop token, with the logits [V] it was drawn from, which are another token's after the
   * call. true ends the completion with this token, as a stop token does.
   */
  readonly onToken?: (token: number, logits: Float32Array) => boolean;
  /** Nobody waits any more: its slot is another's from the next token on. Rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface Completion {
  readonly tokens: readonly number[];
  /** Of each token at the sampling temperature, before top-k and top-p. */
  readonly logprobs: readonly number[];
  readonly finishReason: 'stop' | 'length';
}

/** @throws ModelError MODEL_GENERATION_REQUEST */
export function checkRequest(config: ModelConfig, request: GenerationRequest): void {
  const { promptTokens, maxNewTokens, given = [] } = request;
  const fail = (message: string): never => {
    throw new ModelError('MODEL_GENERATION_REQUEST', message);
  };
  if (promptTokens.length === 0)
    fail('expected a prompt of at least one token, got none: begin with the end-of-text token');
  if (promptTokens.length >= config.contextLength) {
    fail(
      `expected a prompt shorter than the context of ${config.contextLength} tokens, got ${promptTokens.length}: shorten it`,
    );
  }
  checkTokenIds(config, [...promptTokens, ...given]);
  if (!Number.isInteger(maxNewTokens) || maxNewTokens < 1)
    fail(`expected maxNewTokens of at least 1, got ${maxNewTokens}`);
}

/** @throws ModelError MODEL_GENERATION_REQUEST */
export function checkTokenIds(
  { vocabSize }: Pick<ModelConfig, 'vocabSize'>,
  tokens: readonly number[],
): void {
  const alien = tokens.find((token) => !Number.isInteger(token) || token < 0 || token >= vocabSize);
  if (alien === undefined) return;
  throw new ModelError(
    'MODEL_GENERATION_REQUEST',
    `expected token ids below ${vocabSize}, got ${alien}: is this the model's tokenizer?`,
  );
}

/** Lengths are rounded up to multiples of this, so that few programs serve all. */
const BUCKET = 16;

export const bucket = (length: number, limit: number): number =>
  Math.min(limit, Math.ceil(length / BUCKET) * BUCKET);

/** Tokens a request may fill: a function of itself alone, so that its numbers do not depend on its neighbours. */
export const capacityOf = (config: ModelConfig, { promptTokens, maxNewTokens }: GenerationRequest): number =>
  bucket(promptTokens.length + maxNewTokens, config.contextLength);
