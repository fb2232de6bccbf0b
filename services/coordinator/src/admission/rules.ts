/**
 * Which models a run may be started with: one function per rule. Each returns a sentence about what is wrong, in the
 * words of the configuration: where it names the model, what came and what was expected.
 */
import { ModelError, type Peft, tokenizerDifference, trainedModel } from '@rlhf-streams/model';
import type { TrainedModel } from '@rlhf-streams/runs';
import { type FoundModel, named } from './found.js';

export interface Lengths {
  /** Tokens of the longest sequence that the policy produces or is trained on. */
  readonly longest: number;
  /** The most sequences that an item is made of: completions of a comparison, and one of anything else. */
  readonly mostSequences: number;
  /** Tokens of the shortest prompt, by the role of the scorer that reads it; absent where nothing is scored. */
  readonly shortestPrompt: Readonly<Record<string, number | undefined>>;
}

type Refusal = string | undefined;

/** A policy gives text, a scorer a number: a model can only do what it was trained for. */
export const isOfKind = (model: FoundModel): Refusal =>
  model.role.kinds.some((kind) => kind === model.kind)
    ? undefined
    : `${named(model)}: ${model.what}; expected ${model.role.expected}`;

export function hasFittingHeads({ source, field }: FoundModel): Refusal {
  if (source.from !== 'new') return undefined;
  const { architecture, width, heads, kvHeads = heads } = source.shape;
  if (width % heads !== 0) return `${field}: expected heads to divide the width of ${width}, got ${heads}`;
  if (heads % kvHeads !== 0) return `${field}: expected kvHeads to divide the ${heads} heads, got ${kvHeads}`;
  if (architecture === 'gpt2')
    return kvHeads === heads
      ? undefined
      : `${field}: expected no kvHeads, for the heads of a gpt2 share no keys and values, got ${kvHeads}; a llama's do`;
  return (width / heads) % 2 === 0
    ? undefined
    : `${field}: expected heads of an even width, whose halves a llama turns, got ${width / heads}`;
}

/** Every model reads texts by its own tokenizer. */
export const hasTokenizer = (model: FoundModel): Refusal =>
  model.isNew || !model.shape || model.tokenizer
    ? undefined
    : `${named(model)}: expected it to have a tokenizer.json, got none`;

/** A model has an embedding for every token that its tokenizer gives. More embeddings than tokens are padding. */
export function readsItsTokens(model: FoundModel): Refusal {
  const { shape, tokenizer } = model;
  if (!shape || !tokenizer || tokenizer.vocabSize <= shape.vocabSize) return undefined;
  return `${named(model)}: its tokenizer has ${tokenizer.vocabSize} tokens, its vocab_size is ${shape.vocabSize}; expected every token to be below vocab_size`;
}

/** A model that is given token ids of the policy must read them as the policy does. */
export function readsTokensOf(policy: FoundModel, model: FoundModel): Refusal {
  if (!policy.tokenizer || !model.tokenizer || !policy.shape || !model.shape) return undefined;
  const difference = tokenizerDifference(model.tokenizer.json, policy.tokenizer.json);
  if (difference)
    return `${named(model)}: expected the tokenizer of ${named(policy)}, got another: ${difference}`;
  if (model.shape.vocabSize >= policy.shape.vocabSize) return undefined;
  return `${named(model)}: expected a vocab_size of at least ${policy.shape.vocabSize}, that of ${named(policy)}, got ${model.shape.vocabSize}`;
}

/** An adapter is on weights that were learned, must be one that the model can have, and that of the model if it has one. */
export function takesPeft(
  model: FoundModel,
  { head, isPublished }: Pick<TrainedModel, 'head'> & { readonly isPublished: boolean },
  peft: Peft | undefined,
): Refusal {
  if (!model.shape) return undefined;
  if (peft && model.isNew)
    return `${named(model)}: expected a model that was trained, as peft leaves its weights as they are, got a new one: train it without peft first`;
  try {
    trainedModel(model.shape, { head, peft, isPublished });
    return undefined;
  } catch (error) {
    if (error instanceof ModelError) return `${named(model)}: ${error.message}`;
    throw error;
  }
}

/** A value model judges every state of the policy. */
export function holdsContextOf(policy: FoundModel, model: FoundModel): Refusal {
  if (!policy.shape || !model.shape || model.shape.contextLength >= policy.shape.contextLength)
    return undefined;
  return `${named(model)}: expected a context of at least ${policy.shape.contextLength} tokens, that of ${named(policy)}, got ${model.shape.contextLength}`;
}

/** A reference judges every sequence, so that one that is too long would end the run. */
export function holdsSequences(model: FoundModel, { longest }: Lengths): Refusal {
  if (!model.shape || model.shape.contextLength >= longest) return undefined;
  return `${named(model)}: expected a context of at least ${longest} tokens, as many as a prompt and its completion may have, got ${model.shape.contextLength}: name another, or lower what limits the length`;
}

/** A completion that is too long for a scorer fails by itself. Where no completion fits, nothing can be learned. */
export function holdsAnyRollout(model: FoundModel, { shortestPrompt }: Lengths): Refusal {
  const prompt = shortestPrompt[model.name];
  if (!model.shape || prompt === undefined || model.shape.contextLength > prompt) return undefined;
  return `${named(model)}: expected a context that holds a prompt and a completion, got ${model.shape.contextLength} tokens, where the shortest prompt has ${prompt}`;
}
