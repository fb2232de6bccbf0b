/** What a run trains of the models that it starts from. */
import { type ModelConfig, ModelError, trainedModel } from '@rlhf-streams/model';
import { type RunConfig, specOf } from '@rlhf-streams/runs';
import { type FoundModel, modelOf, named } from './found.js';

/**
 * The model as it is trained: with an adapter where the run has `peft`.
 * @throws ModelError MODEL_ADAPTER_CONFIG where `peft` does not go with the model
 */
export function asTrained(
  config: RunConfig,
  { shape }: Pick<FoundModel, 'shape'>,
  trained: { readonly head: 'language' | 'scalar'; readonly isPublished: boolean },
): ModelConfig {
  const wanted = 'peft' in config ? config.peft : undefined;
  const peft = shape!.layers <= MOST_LAYERS ? wanted : undefined;
  return trainedModel(shape!, { ...trained, peft });
}

/** The maps of more layers are not listed: such a model does not fit any memory. */
const MOST_LAYERS = 10_000;

/** An adapter is trained further as it is, and where there is none, as `peft` says. */
export function goesWithPeft(config: RunConfig, models: readonly FoundModel[]): string[] {
  return specOf(config).trains.flatMap(({ from, head }, index) => {
    const model = modelOf(models, from);
    try {
      asTrained(config, model, { head, isPublished: index === 0 });
      return [];
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      return [`${named(model)}: ${error.message}`];
    }
  });
}
