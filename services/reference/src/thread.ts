/** The reference service's compute thread: frozen models in memory. */
import { workerData } from 'node:worker_threads';
import {
  expectKind,
  loadTokenizer,
  logprobScorer,
  type ModelConfig,
  readCheckpoint,
  requireMemory,
  type Scorer,
  scoringBytes,
  shapeKey,
  type Tokenizer,
} from '@rlhf-streams/model';
import { type Buffers, type Device, onnxEngine, requireDevice } from '@rlhf-streams/tensor';
import { serve } from '@rlhf-streams/threads';

export interface ThreadOptions {
  readonly device: Device;
  /** Of memory at hand: a model that needs more is not loaded. */
  readonly memoryBytes: number;
}

interface Reference {
  readonly config: ModelConfig;
  readonly parameters: Buffers;
  readonly tokenizer?: Tokenizer;
}

const { device, memoryBytes } = workerData as ThreadOptions;
await requireDevice(device);
const engine = onnxEngine({ device });
const models = new Map<string, Reference>();
/** Models of one shape share programs, one set a temperature. */
const scorers = new Map<string, Scorer<Float32Array>>();

function scorerFor(config: ModelConfig, temperature: number): Scorer<Float32Array> {
  const key = `${temperature} ${shapeKey(config)}`;
  const scorer = scorers.get(key) ?? logprobScorer(engine, config, temperature);
  scorers.set(key, scorer);
  return scorer;
}

const api = {
  /** Reads the model in a folder and keeps it under `key`; resolves to the length of its context. */
  async load(key: string, directory: string): Promise<number> {
    const { config, tensors, tokenizer } = await readCheckpoint(directory, {
      admit: (config) => {
        expectKind('reference', 'language model', config);
        requireMemory('the reference', scoringBytes(config, { length: 1 }), memoryBytes);
      },
    });
    const parameters = Object.fromEntries([...tensors].map(([name, { data }]) => [name, data]));
    models.set(key, {
      config,
      parameters,
      ...(tokenizer && { tokenizer: loadTokenizer(tokenizer.json, tokenizer.config) }),
    });
    return config.contextLength;
  },
  async unload(key: string): Promise<void> {
    models.delete(key);
  },
  /** Log-probs of tokens 1 .. length - 1 of each sequence. */
  async logprobs(
    key: string,
    temperature: number,
    sequences: readonly (readonly number[])[],
  ): Promise<Float32Array[]> {
    const { config, parameters } = modelOf(key);
    return scorerFor(config, temperature).score(parameters, sequences);
  },
  /** The tokens of a text, after those that begin one. */
  async encode(key: string, text: string): Promise<number[]> {
    const { tokenizer } = modelOf(key);
    if (!tokenizer) throw new Error(`reference ${key} has no tokenizer.json`);
    return [...tokenizer.begin, ...tokenizer.encode(text)];
  },
};

function modelOf(key: string): Reference {
  const model = models.get(key);
  if (!model) throw new Error(`reference ${key} is not loaded`);
  return model;
}

export type ReferenceThread = typeof api;
serve(api);
