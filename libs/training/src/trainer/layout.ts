/** All trained parameters of a run in one flat vector: roles in order, within a role in checkpoint order. */
import { architectureOf, type ModelConfig, parameterSpecs } from '@rlhf-streams/model';
import type { TrainedModel } from '@rlhf-streams/runs';
import { allocate, float32, type Specs, sizeOf } from '@rlhf-streams/tensor';

/** What a trained model is for. */
export type Role = TrainedModel['role'];

export type Models = { readonly [R in Role]?: ModelConfig };

export interface Layout {
  readonly models: Models;
  /** Shapes by `role.name`, in the order of the vector. */
  readonly specs: Specs;
  readonly size: number;
  /** A vector's tensors by `role.name`, without a copy. */
  views(vector: Float32Array, prefix?: string): Record<string, Float32Array>;
}

export function layoutOf(models: Models): Layout {
  const entries = rolesOf(models).flatMap(([role, model]) =>
    Object.entries(parameterSpecs(model)).map(([name, spec]) => [`${role}.${name}`, spec] as const),
  );
  const specs = Object.fromEntries(entries);
  return {
    models,
    specs,
    size: entries.reduce((size, [, { shape }]) => size + sizeOf(shape), 0),
    views(vector, prefix = '') {
      let offset = 0;
      return Object.fromEntries(
        entries.map(([name, { shape }]) => {
          const begin = offset;
          offset += sizeOf(shape);
          return [prefix + name, vector.subarray(begin, offset)];
        }),
      );
    },
  };
}

/** A zeroed vector that the workers of a pool can read and write. */
export const sharedVector = (size: number): Float32Array =>
  allocate(float32(size), { shared: true }) as Float32Array;

/** 1 for each parameter that decays, 0 for the others. Each model's architecture says which of its tensors decay. */
export function decayMask(layout: Layout): Float32Array {
  const mask = new Float32Array(layout.size);
  const views = layout.views(mask);
  for (const [role, model] of rolesOf(layout.models)) {
    for (const [name, { decay }] of architectureOf(model).tensors(model))
      if (decay) views[`${role}.${name}`]!.fill(1);
  }
  return mask;
}

const rolesOf = (models: Models) => Object.entries(models) as [Role, ModelConfig][];

/** The tensors of one role, without its prefix. */
export function ofRole<T>(role: Role, byName: Readonly<Record<string, T>>): Record<string, T> {
  const prefix = `${role}.`;
  return Object.fromEntries(
    Object.entries(byName).flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
    ),
  );
}
