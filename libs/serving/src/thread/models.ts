/** What every compute thread does with models: reads them, refuses those that do not fit, and has them by their keys. */
import { workerData } from 'node:worker_threads';
import {
  describeCheckpoint,
  type ModelConfig,
  shapeKey,
  type TokenizerFiles,
  type WeightCache,
} from '@rlhf-streams/model';
import { type Device, type Engine, onnxEngine, requireDevice } from '@rlhf-streams/tensor';
import type { Api } from '@rlhf-streams/threads';

/** The `workerData` of a compute thread. */
export interface ThreadOptions {
  readonly device: Device;
  /** Memory at hand for this thread: a model that needs more is not loaded. */
  readonly memoryBytes: number;
  readonly weightCache: WeightCache;
}

/** Calls that every compute thread answers. */
export interface ModelThread extends Api {
  /** Reads the model in a folder and keeps it under `key`; resolves to its context length, in tokens. */
  readonly load: (key: string, directory: string) => Promise<number>;
  readonly unload: (key: string) => Promise<void>;
}

/** A model whose weights are yet to be read. */
interface DescribedModel {
  readonly key: string;
  readonly directory: string;
  readonly config: ModelConfig;
  readonly tokenizer?: TokenizerFiles;
}

export interface ThreadModels<Model> {
  /** Calls that the thread serves beside the service's own. */
  readonly calls: Pick<ModelThread, 'load' | 'unload'>;
  /** @throws Error when no model is loaded under this key. */
  of(key: string): Model;
}

/** The engine of the device that the thread's `ThreadOptions` name. @throws TensorError when there is no such device. */
export async function openEngine(): Promise<Engine> {
  const { device } = workerData as ThreadOptions;
  await requireDevice(device);
  return onnxEngine({ device });
}

export interface ThreadModelsOptions<Model> {
  /** May refuse a model, by throwing, before its weights are read. */
  readonly admit: (config: ModelConfig, memoryBytes: number) => void;
  /** Makes of a model what the thread computes with. */
  readonly open: (model: DescribedModel) => Promise<Model>;
  /** Gives up what `open` took of the engine. */
  readonly close?: (model: Model) => Promise<void>;
}

export function threadModels<Model>({ admit, open, close }: ThreadModelsOptions<Model>): ThreadModels<Model> {
  const { memoryBytes } = workerData as ThreadOptions;
  const models = new Map<string, Model>();
  return {
    calls: {
      async load(key, directory) {
        const { config, tokenizer } = await describeCheckpoint(directory);
        admit(config, memoryBytes);
        models.set(key, await open({ key, directory, config, ...(tokenizer && { tokenizer }) }));
        return config.contextLength;
      },
      async unload(key) {
        const model = models.get(key);
        models.delete(key);
        if (model) await close?.(model);
      },
    },
    of(key) {
      const model = models.get(key);
      if (!model) throw new Error(`model ${key} is not loaded`);
      return model;
    },
  };
}

/** What `create` makes for models of one shape, which share it: programs, caches. */
export function perShape<Made>(create: (config: ModelConfig) => Made): (config: ModelConfig) => Made {
  const made = new Map<string, Made>();
  return (config) => {
    const key = shapeKey(config);
    const one = made.get(key) ?? create(config);
    made.set(key, one);
    return one;
  };
}
