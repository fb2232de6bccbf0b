/** The models that a run trains, as they start. */
import {
  type DescribedModel,
  describeModel,
  type ModelConfig,
  type ModelFolders,
  trainedModel,
} from '@rlhf-streams/model';
import type { OptimizerConfig, RunConfig, TrainedModel } from '@rlhf-streams/runs';
import { TrainingError } from '../errors.js';

/** Where a model lies that training starts from. */
export interface StartingModel extends ModelFolders {
  /** Names the weights of the base: equal hashes are equal weights. Default: the file, its size and its time. */
  readonly hash?: string | undefined;
  /** What PEFT is to find the base by, where an adapter does not say it. Default: the folder. */
  readonly name?: string | undefined;
}

/** `policy` is the policy, or the body of a reward model. A trained role that is not listed starts from it. */
export interface StartingModels {
  readonly policy: StartingModel;
  readonly [role: string]: StartingModel | undefined;
}

/** A model before its first step; its weights are still on disk. */
export interface Start {
  readonly trained: TrainedModel;
  readonly folders: StartingModel;
  readonly described: DescribedModel;
  /** As it is trained. */
  readonly config: ModelConfig;
}

/**
 * @throws TrainingError TRAINING_MODELS_DIFFER; ModelError MODEL_ADAPTER_CONFIG where `peft` does not go with a model; what
 *   `describeModel` throws
 */
export async function describeStarts(
  { peft }: Extract<RunConfig, { optimizer: OptimizerConfig }>,
  trains: readonly TrainedModel[],
  models: StartingModels,
): Promise<Start[]> {
  const policy = await describeModel(models.policy);
  return Promise.all(
    trains.map(async (trained, i) => {
      const { role, from, head } = trained;
      const folders = models[from] ?? models.policy;
      const described = folders === models.policy ? policy : await describeModel(folders);
      const { vocabSize, contextLength } = described.config;
      if (vocabSize < policy.config.vocabSize || contextLength < policy.config.contextLength) {
        throw new TrainingError(
          'TRAINING_MODELS_DIFFER',
          `expected the ${role} model to read the policy's ${policy.config.vocabSize} tokens in contexts of ${policy.config.contextLength}, got ${vocabSize} and ${contextLength}`,
        );
      }
      const config = trainedModel(described.config, { head, peft, isPublished: i === 0 });
      return { trained, folders, described, config };
    }),
  );
}
