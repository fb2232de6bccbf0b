import type { Parameters } from '@rlhf-streams/model';
import { type Buffers, float32, type Program, type Specs } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { type Layout, ofRole, type Role } from './layout.js';

/** A piece of a batch, laid out for a program: at most as many rows as the run's micro-batch size. */
export interface MicroBatch {
  readonly specs: Specs;
  readonly buffers: Buffers;
}

/** The parameters of a program, by role. */
export type ModelParameters = { readonly [R in Role]: Parameters };

/**
 * A loss over one micro-batch. `loss` and `stats` are sums over its rows divided by `normaliser`, so that those of
 * the micro-batches add up to those of the batch.
 */
export interface LossProgram {
  /** Names the program and everything its graph depends on but the shapes of the batch. */
  readonly key: string;
  readonly loss: (
    parameters: ModelParameters,
    batch: Record<string, tf.Tensor>,
    normaliser: tf.Scalar,
  ) => { loss: tf.Scalar; stats: Record<string, tf.Tensor> };
}

/** Anything computed from parameters and a micro-batch without a gradient. */
export interface InferenceProgram {
  readonly key: string;
  readonly infer: (
    parameters: ModelParameters,
    batch: Record<string, tf.Tensor>,
  ) => Record<string, tf.Tensor>;
}

export const NORMALISER = 'normaliser';
export const GRADIENT = 'gradient.';
const STAT = 'stat.';

/** The loss, its stats, and the gradient of every parameter. */
export function gradientProgram(layout: Layout, { loss }: LossProgram, batch: Specs): Program {
  const names = Object.keys(layout.specs);
  return (inputs) => {
    const rows = Object.fromEntries(Object.keys(batch).map((name) => [name, inputs[name]!]));
    let kept: Record<string, tf.Tensor> = {};
    const { value, grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) => {
      const parameters = byRole(Object.fromEntries(names.map((name, i) => [name, tensors[i]!])));
      const result = loss(parameters, rows, inputs[NORMALISER] as tf.Scalar);
      // tfjs forgets what a differentiated function computed besides its value.
      kept = Object.fromEntries(
        Object.entries(result.stats).map(([name, stat]) => [STAT + name, tf.keep(stat)]),
      );
      return result.loss;
    })(names.map((name) => inputs[name]!));
    const stats = Object.fromEntries(Object.entries(kept).map(([name, stat]) => [name, tf.clone(stat)]));
    for (const stat of Object.values(kept)) stat.dispose();
    return {
      loss: value,
      ...stats,
      ...Object.fromEntries(grads.map((gradient, i) => [GRADIENT + names[i], gradient])),
    };
  };
}

/** The loss and its stats alone. */
export const lossProgram =
  ({ loss }: LossProgram, batch: Specs): Program =>
  (inputs) => {
    const rows = Object.fromEntries(Object.keys(batch).map((name) => [name, inputs[name]!]));
    const { loss: value, stats } = loss(byRole(inputs), rows, inputs[NORMALISER] as tf.Scalar);
    return {
      loss: value,
      ...Object.fromEntries(Object.entries(stats).map(([name, stat]) => [STAT + name, stat])),
    };
  };

export const inferenceProgram =
  ({ infer }: InferenceProgram, batch: Specs): Program =>
  (inputs) =>
    infer(byRole(inputs), Object.fromEntries(Object.keys(batch).map((name) => [name, inputs[name]!])));

export const lossInputs = (layout: Layout, batch: Specs): Specs => ({
  ...layout.specs,
  ...batch,
  [NORMALISER]: float32(),
});

/** Loss and stats among a program's outputs. */
export function readStats(outputs: Buffers): Record<string, number> {
  return Object.fromEntries(
    Object.entries(outputs).flatMap(([name, buffer]) => {
      if (name === 'loss') return [['loss', buffer[0]!]];
      return name.startsWith(STAT) ? [[name.slice(STAT.length), buffer[0]!]] : [];
    }),
  );
}

/** Parameters are named `role.tensor`; the names of a batch have no role. */
function byRole(tensors: Record<string, tf.Tensor>): ModelParameters {
  const roles = Object.keys(tensors).flatMap((name) => (name.includes('.') ? name.split('.', 1) : []));
  return Object.fromEntries(
    [...new Set(roles)].map((role) => [role, ofRole(role as Role, tensors)]),
  ) as ModelParameters;
}
