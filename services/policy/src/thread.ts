/** The policy's compute thread: models in memory, and the generator that samples from them. */

import { workerData } from 'node:worker_threads';
import type { Sampling } from '@rlhf-streams/events';
import {
  type Completion,
  createGenerator,
  expectKind,
  type Generator,
  generationBytes,
  keyFor,
  loadTokenizer,
  type ModelConfig,
  ModelError,
  promptTokens,
  readCheckpoint,
  requireMemory,
  shapeKey,
  type Tokenizer,
  type Weights,
} from '@rlhf-streams/model';
import { type Device, onnxEngine, requireDevice } from '@rlhf-streams/tensor';
import { serve } from '@rlhf-streams/threads';

export interface ThreadOptions {
  /** Sequences generated side by side. */
  readonly slots: number;
  readonly device: Device;
  /** Of memory at hand for this thread: a model that needs more is not loaded. */
  readonly memoryBytes: number;
}

/** A completion to sample: `draws` names its random numbers together with the seed. */
export interface Work {
  readonly promptTokens: readonly number[];
  readonly sampling: Sampling;
  readonly seed: number;
  readonly draws: string;
  readonly timeoutMs: number;
}

export interface Sampled extends Completion {
  readonly text: string;
}

interface Model {
  readonly config: ModelConfig;
  readonly weights: Weights;
  readonly tokenizer: Tokenizer;
}

const { slots, device, memoryBytes } = workerData as ThreadOptions;
await requireDevice(device);
const engine = onnxEngine({ device });
const models = new Map<string, Model>();
/** Models of one shape share programs, caches and slots. */
const generators = new Map<string, Generator>();

function generatorFor(config: ModelConfig): Generator {
  const key = shapeKey(config);
  const generator = generators.get(key) ?? createGenerator(engine, config, { slots });
  generators.set(key, generator);
  return generator;
}

const api = {
  /** Reads the model in a folder and keeps it under `key`. */
  async load(key: string, directory: string): Promise<void> {
    const { config, tensors, tokenizer } = await readCheckpoint(directory, {
      admit: (config) => {
        expectKind('policy', 'language model', config);
        const least = { threads: 1, slots, length: 1, versions: 1 };
        requireMemory('the policy in each of its threads', generationBytes(config, least), memoryBytes);
      },
    });
    if (!tokenizer)
      throw new ModelError('MODEL_CHECKPOINT_MISSING', 'expected a policy with a tokenizer.json, got none');
    models.set(key, {
      config,
      weights: {
        version: key,
        parameters: Object.fromEntries([...tensors].map(([name, { data }]) => [name, data])),
      },
      tokenizer: loadTokenizer(tokenizer.json, tokenizer.config),
    });
  },
  async unload(key: string): Promise<void> {
    models.delete(key);
  },
  async generate(key: string, { promptTokens, sampling, seed, draws, timeoutMs }: Work): Promise<Sampled> {
    const { config, weights, tokenizer } = modelOf(key);
    const completion = await generatorFor(config).generate({
      weights,
      promptTokens,
      sampling,
      maxNewTokens: sampling.maxNewTokens,
      stopTokens: sampling.stopTokens,
      key: keyFor(seed, draws),
      timeoutMs,
    });
    return { ...completion, text: tokenizer.decode(completion.tokens, { skipSpecialTokens: true }) };
  },
  /** The tokens of a prompt as the policy continues it, and the token that ends what it says. */
  async encode(key: string, text: string): Promise<{ tokens: number[]; stopToken: number }> {
    const { config, tokenizer } = modelOf(key);
    return { tokens: promptTokens(tokenizer, config, text), stopToken: tokenizer.eosId };
  },
};

function modelOf(key: string): Model {
  const model = models.get(key);
  if (!model) throw new Error(`model ${key} is not loaded`);
  return model;
}

export type PolicyThread = typeof api;
serve(api);
