/** The reward service's compute thread: reward models in memory. */
import { workerData } from 'node:worker_threads';
import { type ModelConfig, readCheckpoint, rewardScorer, type Scorer, shapeKey } from '@rlhf-streams/model';
import { type Buffers, type Device, onnxEngine, requireDevice } from '@rlhf-streams/tensor';
import { serve } from '@rlhf-streams/threads';

export interface ThreadOptions {
  readonly device: Device;
}

interface RewardModel {
  readonly scorer: Scorer<number>;
  readonly parameters: Buffers;
}

const { device } = workerData as ThreadOptions;
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
    const { config, tensors } = await readCheckpoint(directory);
    if (config.numLabels !== 1) {
      throw new Error(
        `expected ${directory} to hold a reward model (score.weight of one row), got ${config.numLabels ?? 'no'} labels`,
      );
    }
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
