import { type ArtifactRef, type ModelRef, modelKey } from '@rlhf-streams/events';
import { ModelError } from '@rlhf-streams/model/errors';

/**
 * The artifact that holds a whole model.
 * @throws ModelError MODEL_ADAPTER for a model with an adapter, which this build cannot put on its base.
 */
export function wholeModel(model: ModelRef): ArtifactRef {
  if (!model.adapter) return model.base;
  throw new ModelError(
    'MODEL_ADAPTER',
    `expected a whole model, got an adapter on one, ${modelKey(model)}: a newer build published it; upgrade to that build`,
  );
}
