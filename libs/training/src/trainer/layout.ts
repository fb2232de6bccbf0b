/** All trained parameters of a run in one flat vector: roles in order, within a role in checkpoint order. */
import { gpt2TensorShapes, type ModelConfig } from '@rlhf-streams/model';
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
  const entries = (Object.keys(models) as Role[]).flatMap((role) =>
    [...gpt2TensorShapes(models[role]!)].map(
      ([name, shape]) => [`${role}.${name}`, float32(...shape)] as const,
    ),
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

/** 1 where weight decay applies: not to biases and layer norms, as in transformers' Trainer. */
export function decayMask(layout: Layout): Float32Array {
  const mask = new Float32Array(layout.size);
  for (const [name, view] of Object.entries(layout.views(mask))) {
    if (!name.endsWith('.bias') && !/\.ln_\w+\.weight$/.test(name)) view.fill(1);
  }
  return mask;
}

/** The tensors of one role, without its prefix. */
export function ofRole<T>(role: Role, byName: Readonly<Record<string, T>>): Record<string, T> {
  const prefix = `${role}.`;
  return Object.fromEntries(
    Object.entries(byName).flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
    ),
  );
}
