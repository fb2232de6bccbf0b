/** The reward service's compute thread: reward models in memory. */
import { workerData } from 'node:worker_threads';
import {
  expectKind,
  type ModelConfig,
  readCheckpoint,
  requireMemory,
  rewardScorer,
  type Scorer,
  scoringBytes,
  shapeKey,
} from '@rlhf-streams/model';
import { type Buffers, type Device, onnxEngine, requireDevice } from '@rlhf-streams/tensor';
import { serve } from '@rlhf-streams/threads';

export interface ThreadOptions {
  readonly device: Device;
  /** Of memory at hand: a model that needs more is not loaded. */
  readonly memoryBytes: number;
}

interface RewardModel {
  readonly scorer: Scorer<number>;
  readonly parameters: Buffers;
}

const { device, memoryBytes } = workerData as ThreadOptions;
await requireDevice(device);
const engine = onnxEngine({ device });
const models = new Map<string, RewardModel>();
/** Models of one shape share programs. */
const scorers = new Map<string, Scorer<number>>();

function scorerFor(config: ModelConfig): Scorer<number> {
  const key = shapeKey(config);
  const scorer = scorers.get(key) ?? rewardScorer(engine, config);
  scorers.set(key, scorer);
  return scorer;
}

const api = {
  /** Reads the model in a folder and keeps it under `key`; resolves to the length of its context. */
  async load(key: string, directory: string): Promise<number> {
    const { config, tensors } = await readCheckpoint(directory, {
      admit: (config) => {
        expectKind('scorer', 'reward model', config);
        requireMemory('the scorer', scoringBytes(config, { length: 1 }), memoryBytes);
      },
    });
    const parameters = Object.fromEntries([...tensors].map(([name, { data }]) => [name, data]));
    models.set(key, { scorer: scorerFor(config), parameters });
    return config.contextLength;
  },
  async unload(key: string): Promise<void> {
    models.delete(key);
  },
  /** Scores of whole sequences, prompt and completion. */
  async score(key: string, sequences: readonly (readonly number[])[]): Promise<number[]> {
    const model = models.get(key);
    if (!model) throw new Error(`reward model ${key} is not loaded`);
    return model.scorer.score(model.parameters, sequences);
  },
};

export type RewardThread = typeof api;
serve(api);
