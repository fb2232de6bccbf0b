/** The policy's compute thread: models in memory, and the generator that samples from them. */

import { type MessagePort, workerData } from 'node:worker_threads';
import type { Sampling } from '@rlhf-streams/events';
import {
  type Completion,
  checkTokenIds,
  createGenerator,
  createGrowingText,
  type EncodedPrompt,
  encodePrompt,
  type GenerationRequest,
  type Generator,
  generationBytes,
  keyFor,
  loadTokenizer,
  type Message,
  type ModelConfig,
  ModelError,
  packedForGeneration,
  readEndTokens,
  readWeights,
  requireMemory,
  SAMPLERS,
  type Tokenizer,
  tokenLogprobs,
  tokenText,
  type Weights,
} from '@rlhf-streams/model';
import {
  type ModelThread,
  type ModelToOpen,
  openEngine,
  perBase,
  perShape,
  type ThreadOptions,
  threadModels,
} from '@rlhf-streams/serving/thread';
import { onnxEngine } from '@rlhf-streams/tensor';
import { serve } from '@rlhf-streams/threads';
import {
  createCompletionText,
  type Piece,
  type PlacedToken,
  type TokenInWords,
  type TokenReport,
} from './completion-text.js';

/** Comes with the `ThreadOptions` of every compute thread. */
export interface PolicyOptions {
  /** Sequences generated at the same time. */
  readonly slots: number;
}

/** A completion to sample: `draws` names its random numbers together with the seed. */
export interface Work {
  readonly promptTokens: readonly number[];
  readonly sampling: Sampling;
  readonly seed: number;
  readonly draws: string;
  readonly timeoutMs: number;
  /** The completion, where it is not to be sampled but to be given its log-probs. */
  readonly given?: readonly number[];
}

export interface Sampled extends Completion {
  readonly text: string;
  /** The version of the sampler that drew the tokens. */
  readonly sampler: number;
}

/** A completion to sample for somebody who reads along. */
export interface CompletionWork extends Work {
  /** The text ends before the first of these. */
  readonly stops: readonly string[];
  /** Each token is reported, with this many of the likeliest tokens; undefined: none is reported. */
  readonly logprobs?: number;
}

/** A prompt whose tokens are reported, each with this many of the likeliest. */
export interface JudgeWork {
  readonly prompt: EncodedPrompt;
  readonly logprobs: number;
  readonly timeoutMs: number;
}

export interface Completed extends Piece {
  readonly finishReason: Completion['finishReason'];
  /** Tokens that the text consists of. */
  readonly count: number;
}

/** A conversation to answer. */
export interface Conversation {
  readonly messages: readonly Message[];
  readonly tools?: readonly object[] | undefined;
}

/** A text, token ids, or a conversation. */
export type Prompt = string | readonly number[] | Conversation;

export interface Encoded {
  readonly prompts: readonly EncodedPrompt[];
  /** The tokens at any of which a completion ends. */
  readonly stopTokens: readonly number[];
  /** The longest sequence, prompt and completion together, in tokens. */
  readonly contextLength: number;
}

interface Model {
  readonly config: ModelConfig;
  readonly generator: Generator;
  readonly weights: Weights;
  readonly tokenizer: Tokenizer;
  readonly stopTokens: readonly number[];
  /** Called when the model is unloaded. */
  readonly leave: () => Promise<void>;
}

const { slots, threads, weightCache, compute } = workerData as PolicyOptions & ThreadOptions;
const engine = await openEngine(compute, onnxEngine);
/** Versions of whole models of one shape share programs, caches and slots, */
const versionsOf = perShape((config) => createGenerator(engine, config, { slots }));
/** and so do models whose adapters have one shape, with the base that they are on. */
const onBase = perBase(
  async (config, frozen) =>
    createGenerator(engine, config, {
      slots,
      // Laid out for the products of ONNX Runtime: a device takes weights as they are.
      frozen: engine.place === 'host' ? await packedForGeneration(config, frozen, weightCache) : frozen,
    }),
  async (generator) => generator.close(),
);

async function opened(model: ModelToOpen): Promise<Pick<Model, 'generator' | 'weights' | 'leave'>> {
  const { key, folders, config } = model;
  if (model.frozen || folders.adapter !== undefined) {
    const { made, ...own } = await onBase(model);
    return { generator: made, ...own };
  }
  const tensors = await readWeights(folders.base, config);
  const parameters = Object.fromEntries([...tensors].map(([name, { data }]) => [name, data]));
  return { generator: versionsOf(config), weights: { version: key, parameters }, leave: async () => {} };
}

const models = threadModels<Model>({
  admit: ({ config, frozen }, memoryBytes) => {
    if (config.head.kind !== 'language') {
      throw new ModelError(
        'MODEL_NOT_A_POLICY',
        'expected a model that generates text, got a reward model: its weights end in a score',
      );
    }
    const least = { threads, slots, length: 1, versions: 1, frozen: frozen || config.adapter !== undefined };
    requireMemory('the policy in all of its threads', generationBytes(config, least), memoryBytes);
  },
  open: async (model) => {
    const { config, folders, tokenizer: files } = model;
    if (!files)
      throw new ModelError('MODEL_CHECKPOINT_MISSING', 'expected a policy with a tokenizer.json, got none');
    const tokenizer = loadTokenizer(files.json, files.config);
    const stopTokens = await readEndTokens(folders.base, tokenizer);
    return { config, tokenizer, stopTokens, ...(await opened(model)) };
  },
  close: ({ leave }) => leave(),
});

const requestOf = (
  weights: Weights,
  { promptTokens, sampling, seed, draws, timeoutMs, given }: Work,
): GenerationRequest => ({
  weights,
  promptTokens,
  sampling,
  ...(given && { given }),
  maxNewTokens: given?.length ?? sampling.maxNewTokens,
  stopTokens: sampling.stopTokens,
  key: keyFor(seed, draws),
  timeoutMs,
});

const api = {
  ...models.calls,
  async generate(key: string, work: Work): Promise<Sampled> {
    const { generator, weights, tokenizer } = models.of(key);
    const completion = await generator.generate(requestOf(weights, work));
    const text = tokenizer.decode(completion.tokens, { skipSpecialTokens: true, continues: true });
    return { ...completion, text, sampler: SAMPLERS[engine.place] };
  },
  /** Sends the text through the port, piece by piece, as soon as each is certain; stops when the port is closed. */
  async complete(key: string, work: CompletionWork, port: MessagePort): Promise<Completed> {
    const { generator, weights, tokenizer } = models.of(key);
    const { stops, logprobs } = work;
    const growing = createGrowingText(tokenizer, { skipSpecialTokens: true, continues: true });
    const text = createCompletionText(growing, stops);
    const completion = await generator.generate({
      ...requestOf(weights, work),
      signal: abortedWith(port),
      logits: logprobs !== undefined,
      onToken: (token, logits) => {
        const report = logprobs === undefined ? undefined : reportOf(tokenizer, logits!, token, logprobs);
        const ended = text.add(token, report);
        const piece = text.take();
        if (piece) port.postMessage(piece);
        return ended;
      },
    });
    const { stopped, ...whole } = text.end();
    return { ...whole, finishReason: stopped ? 'stop' : completion.finishReason };
  },
  /** Reports the tokens of a prompt's text, each with its log-prob after those before it. */
  async judge(key: string, work: JudgeWork, port: MessagePort): Promise<readonly PlacedToken[]> {
    const { generator, weights, tokenizer } = models.of(key);
    const { prompt, logprobs, timeoutMs } = work;
    const [first, ...given] = prompt.tokens;
    const growing = createGrowingText(tokenizer, { skipSpecialTokens: false, continues: false });
    const text = createCompletionText(growing, []);
    if (prompt.begin === 0) text.add(first!, inWords(tokenizer, first!));
    if (given.length === 0) return text.end().tokens;
    let position = 1;
    await generator.generate({
      weights,
      promptTokens: [first!],
      given,
      sampling: { temperature: 1 },
      maxNewTokens: given.length,
      stopTokens: [],
      key: keyFor(0, 'nothing is drawn'),
      timeoutMs,
      signal: abortedWith(port),
      logits: true,
      onToken: (token, logits) => {
        if (position++ >= prompt.begin) text.add(token, reportOf(tokenizer, logits!, token, logprobs));
        return false;
      },
    });
    return text.end().tokens;
  },
  /**
   * Encodes prompts: a text comes after the tokens that begin every text, token ids are taken as they are, a conversation
   * is what the model's chat template makes of it.
   */
  async encode(key: string, prompts: readonly Prompt[]): Promise<Encoded> {
    const { config, tokenizer, stopTokens } = models.of(key);
    const encoded = prompts.map((prompt) => {
      if (typeof prompt === 'string') return encodePrompt(tokenizer, config, prompt);
      if ('messages' in prompt) {
        const { messages, tools } = prompt;
        if (tools && tokenizer.renderChat(messages, { tools }) === tokenizer.renderChat(messages))
          throw new ModelError(
            'MODEL_CHAT_TEMPLATE_TOOLS',
            "the model's chat template leaves tools out: expected no tools, or a model whose template has them",
          );
        return encodePrompt(tokenizer, config, messages, tools);
      }
      checkTokenIds(config, prompt);
      return { tokens: [...prompt], text: tokenizer.decode(prompt), begin: 0 };
    });
    return { prompts: encoded, stopTokens, contextLength: config.contextLength };
  },
};

/** Aborted when the port is closed at its other end. */
function abortedWith(port: MessagePort): AbortSignal {
  const left = new AbortController();
  port.once('close', () =>
    left.abort(new ModelError('MODEL_GENERATION_ABORTED', 'nobody waits for what is generated any more')),
  );
  return left.signal;
}

function reportOf(tokenizer: Tokenizer, logits: Float32Array, token: number, count: number): TokenReport {
  const { logprob, likeliest } = tokenLogprobs(logits, token, count);
  return {
    ...inWords(tokenizer, token),
    logprob,
    likeliest: likeliest.map((other) => ({ ...inWords(tokenizer, other.token), logprob: other.logprob })),
  };
}

const inWords = (tokenizer: Tokenizer, token: number): TokenInWords => ({
  token: tokenText(tokenizer, token),
  bytes: tokenizer.isSpecial(token) ? null : [...tokenizer.bytesOf(token, { continues: true })],
});

export type PolicyThread = typeof api & ModelThread;
serve(api);
