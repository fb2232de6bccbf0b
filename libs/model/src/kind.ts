/** What a model was trained to give. */
import type { ModelConfig } from './checkpoint/hf-config.js';
import { ModelError } from './errors.js';

export type ModelKind = 'language model' | 'reward model' | 'classifier';

/** A reward model gives a sequence one number, a classifier several. */
export function modelKind({ numLabels }: Pick<ModelConfig, 'numLabels'>): ModelKind {
  if (numLabels === undefined) return 'language model';
  return numLabels === 1 ? 'reward model' : 'classifier';
}

/** @throws ModelError MODEL_ROLE when a model of another kind came; `role` names what it was to be. */
export function expectKind(role: string, kind: ModelKind, config: ModelConfig): void {
  const came = modelKind(config);
  if (came !== kind)
    throw new ModelError('MODEL_ROLE', `expected the ${role} to be a ${kind}, got a ${came}`);
}
