/** What every compute thread does with models: reads them, refuses those that do not fit, and has them by their keys. */
import { workerData } from 'node:worker_threads';
import {
  type DescribedModel,
  describeModel,
  type FrozenFile,
  frozenTensors,
  type ModelConfig,
  type ModelFolders,
  readAdapter,
  shapeKey,
  type WeightCache,
  type Weights,
} from '@rlhf-streams/model';
import type { Api } from '@rlhf-streams/threads';
import type { EngineChoice } from '../settings.js';

/** The `workerData` of a compute thread. */
export interface ThreadOptions {
  readonly compute: EngineChoice;
  /** Threads of the service, this one among them: each has every model. */
  readonly threads: number;
  /** Memory at hand for all of them: a model that needs more is not loaded. */
  readonly memoryBytes: number;
  readonly weightCache: WeightCache;
}

/** A model on the disk. */
export interface StoredModel {
  /** Names this load of it. */
  readonly key: string;
  readonly folders: ModelFolders;
  /** Names the weights of the base, on which other models may stand too. */
  readonly baseHash: string;
  /**
   * Whether its weights, or those of its base, are used where they lie, by all that use them; else they are read for this
   * model alone, as those of one version of many. An adapter's base is always so.
   */
  readonly frozen: boolean;
}

/** Calls that every compute thread answers. */
export interface ModelThread extends Api {
  /** Reads a model and keeps it under its key; resolves to its context length, in tokens. */
  readonly load: (model: StoredModel) => Promise<number>;
  readonly unload: (key: string) => Promise<void>;
}

/** A model whose weights are yet to be read. */
export type ModelToOpen = StoredModel & DescribedModel;

export interface ThreadModels<Model> {
  /** Calls that the thread serves beside the service's own. */
  readonly calls: Pick<ModelThread, 'load' | 'unload'>;
  /** @throws Error when no model is loaded under this key. */
  of(key: string): Model;
}

export interface ThreadModelsOptions<Model> {
  /** May refuse a model, by throwing, before its weights are read. */
  readonly admit: (model: ModelToOpen, memoryBytes: number) => void;
  /** Makes of a model what the thread computes with. */
  readonly open: (model: ModelToOpen) => Promise<Model>;
  /** Gives up what `open` took. */
  readonly close?: (model: Model) => Promise<void>;
}

export function threadModels<Model>({ admit, open, close }: ThreadModelsOptions<Model>): ThreadModels<Model> {
  const { memoryBytes } = workerData as ThreadOptions;
  const models = new Map<string, Model>();
  return {
    calls: {
      async load(model) {
        const described = { ...model, ...(await describeModel(model.folders)) };
        admit(described, memoryBytes);
        models.set(model.key, await open(described));
        return described.config.contextLength;
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

/** What a model on a base computes with. */
export interface OnBase<Made> {
  /** Common to all models on the base whose adapters have one shape. */
  readonly made: Made;
  /** What is the model's own: none of it where it is the base itself. */
  readonly weights: Weights;
  leave(): Promise<void>;
}

/**
 * Models on bases that lie where they are. `create` is called once for a base and a shape of adapters on it, and what it
 * makes is given up with the last model that uses it. Of an adapter its own tensors alone are read.
 */
export function perBase<Made>(
  create: (config: ModelConfig, frozen: FrozenFile) => Made | Promise<Made>,
  dispose: (made: Made) => Promise<void>,
): (model: ModelToOpen) => Promise<OnBase<Made>> {
  const { weightCache } = workerData as ThreadOptions;
  const used = new Map<string, { readonly made: Promise<Made>; users: number }>();
  const take = ({ folders, baseHash, ...described }: ModelToOpen) => {
    const name = `${baseHash} ${shapeKey(described.config)}`;
    const known = used.get(name) ?? {
      made: frozenTensors(folders, described, baseHash, weightCache).then((frozen) =>
        create(described.config, frozen),
      ),
      users: 0,
    };
    used.set(name, known);
    known.users++;
    const leave = async () => {
      if (--known.users > 0) return;
      if (used.get(name) === known) used.delete(name);
      await dispose(await known.made);
    };
    // What could not be opened is tried again by the next model.
    known.made.catch(() => used.get(name) === known && used.delete(name));
    return { made: known.made, leave };
  };
  return async (model) => {
    const { key, folders, base } = model;
    const { made: making, leave } = take(model);
    const made = await making;
    try {
      const parameters = folders.adapter === undefined ? {} : await adapterAt(folders.adapter, base);
      return { made, weights: { version: key, parameters }, leave };
    } catch (error) {
      await leave();
      throw error;
    }
  };
}

async function adapterAt(directory: string, base: ModelConfig): Promise<Weights['parameters']> {
  const { tensors } = await readAdapter(directory, base);
  return Object.fromEntries([...tensors].map(([name, { data }]) => [name, data]));
}
