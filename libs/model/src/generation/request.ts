import type { Buffers, Engine } from '@rlhf-streams/tensor';
import { ModelError } from '../errors.js';
import type { ModelConfig } from '../model-config.js';
import type { PhiloxKey } from '../sampling/rollout-draws.js';
import { checkSampling, type SamplingOptions } from '../sampling/sampler.js';

/** One version of a model's parameters. Requests for the same version are generated side by side. */
export interface Weights {
  readonly version: string;
  /** All that are not frozen: those of an adapter, where a base is. */
  readonly parameters: Buffers;
}

export interface GenerationRequest {
  readonly weights: Weights;
  readonly promptTokens: readonly number[];
  readonly sampling: SamplingOptions;
  readonly maxNewTokens: number;
  /** The first tokens of the completion, which are taken and not drawn: their log-probs are what is asked for. */
  readonly given?: readonly number[];
  /** Generation ends after any of these, which is kept as the last token. */
  readonly stopTokens: readonly number[];
  /** Draws are a function of this key and the token's position alone: `keyFor(seed, rolloutId)`. */
  readonly key: PhiloxKey;
  /** Milliseconds after which the request fails with MODEL_GENERATION_TIMEOUT. Default: none. */
  readonly timeoutMs?: number;
  /**
   * Called for every token but a stop token, as soon as the host has it: that may be several tokens later. Returning true
   * ends the completion with this token, as a stop token does.
   * @param logits [V], those it was drawn from, where `logits` is asked for; the buffer is reused after the call
   */
  readonly onToken?: (token: number, logits?: Float32Array) => boolean;
  /** Whether `onToken` is given logits, which takes a device one reading a token. Default: no. */
  readonly logits?: boolean;
  /** Abandons the request: it rejects with the signal's reason, and its slot is free before the next decode steps. */
  readonly signal?: AbortSignal;
}

export interface Completion {
  readonly tokens: readonly number[];
  /** Log-prob of each token in nats, at the sampling temperature, before top-k and top-p. */
  readonly logprobs: readonly number[];
  readonly finishReason: 'stop' | 'length';
}

/** @throws ModelError MODEL_GENERATION_REQUEST, MODEL_SAMPLING_OPTIONS */
export function checkRequest(config: ModelConfig, request: GenerationRequest): void {
  const { promptTokens, maxNewTokens, sampling, given = [] } = request;
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
  checkSampling(sampling);
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

/** The most tokens of a completion: the context may end before it has as many as asked for. */
export const mostTokens = (
  { contextLength }: Pick<ModelConfig, 'contextLength'>,
  { promptTokens, maxNewTokens }: GenerationRequest,
): number => Math.min(maxNewTokens, contextLength - promptTokens.length);

/** Lengths are rounded up to multiples of this, so that few programs serve all lengths. */
export const BUCKET = 16;

/** The padded length that a sequence of `length` tokens is computed at; `limit` is the context. */
export const bucket = (length: number, limit: number): number =>
  Math.min(limit, Math.ceil(length / BUCKET) * BUCKET);

/** All padded lengths up to `limit`. */
export const buckets = (limit: number): number[] =>
  Array.from({ length: Math.ceil(limit / BUCKET) }, (_, i) => bucket((i + 1) * BUCKET, limit));

/** Capacity of the KV cache for a sequence of `length` tokens: a power of two, so that most are generated side by side. */
export const cacheCapacity = (
  { contextLength }: Pick<ModelConfig, 'contextLength'>,
  length: number,
): number => Math.min(contextLength, BUCKET * 2 ** Math.ceil(Math.log2(Math.max(1, length / BUCKET))));

/** A device takes about as long for a short cache as for a longer one, and each capacity takes seconds to prepare. */
const LEAST_DEVICE_CAPACITY = 128;

/** Capacity for a request: a function of the request alone, so that its bits do not depend on others. */
export const capacityOf = (
  config: ModelConfig,
  { promptTokens, maxNewTokens }: GenerationRequest,
  place: Engine['place'],
): number =>
  cacheCapacity(
    config,
    Math.max(place === 'device' ? LEAST_DEVICE_CAPACITY : 1, promptTokens.length + maxNewTokens),
  );
