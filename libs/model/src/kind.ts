/** What a model was trained to give. */
import type { ModelConfig } from './architecture.js';
import { ModelError } from './errors.js';

export type ModelKind = 'language model' | 'reward model' | 'classifier';

/** A reward model gives a sequence one number, a classifier several. */
export function modelKind({ head }: Pick<ModelConfig, 'head'>): ModelKind {
  if (head.kind === 'language') return 'language model';
  return head.labels === 1 ? 'reward model' : 'classifier';
}

/** The model with a head that gives one number, a reward or a value, in place of its own. */
export const withScalarHead = (config: ModelConfig): ModelConfig => ({
  ...config,
  head: { kind: 'scalar', labels: 1 },
});

/** @throws ModelError MODEL_ROLE when a model of another kind came; `role` names what it was to be. */
export function expectKind(role: string, kind: ModelKind, config: ModelConfig): void {
  const came = modelKind(config);
  if (came !== kind)
    throw new ModelError('MODEL_ROLE', `expected the ${role} to be a ${kind}, got a ${came}`);
}

/** Equal for models that the same programs compute. */
export const shapeKey = ({
  extra: _,
  bosTokenId: _b,
  eosTokenId: _e,
  padTokenId: _p,
  ...shape
}: ModelConfig): string => JSON.stringify(shape);
