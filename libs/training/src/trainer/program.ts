/**
 * What a trainer computes of a micro-batch: programs over tensors named `p.`, and over gradients named `g.`; for a line
 * search over `snapshot.` and `direction.` too.
 */
import { fisherVectorProduct } from '@rlhf-streams/alignment';
import { type Parameters, recomputingLayers } from '@rlhf-streams/model';
import { type Buffers, float32, type Program, type Specs, type Tensors } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { Layout, Role } from './layout.js';

/** A piece of a batch, laid out for a program. */
export interface MicroBatch {
  readonly specs: Specs;
  readonly buffers: Buffers;
  /** Tokens of its `ids` that are no padding. Default: all. */
  readonly used?: number;
}

/** What the shapes of a micro-batch follow from. */
export interface BatchShape {
  /** Sequences. */
  readonly rows: number;
  /** Tokens of each, padding included. */
  readonly length: number;
  /** Tokens that are predicted, in all rows together, padding included. */
  readonly tokens: number;
}

/** The parameters of a program, by role. */
export type ModelParameters = { readonly [R in Role]: Parameters };

interface TrainingProgram {
  /** The models that it is given, each of whose trained tensors it uses. */
  readonly roles: readonly Role[];
  readonly inputs: (shape: BatchShape) => Specs;
}

/**
 * A loss over one micro-batch. `loss` and `stats` are sums over its rows divided by `normaliser`, so that those of
 * the micro-batches add up to those of the batch. `outputs` are handed over as they are: numbers by token or sequence.
 */
export interface LossProgram extends TrainingProgram {
  readonly loss: (
    parameters: ModelParameters,
    batch: Record<string, tf.Tensor>,
    normaliser: tf.Scalar,
  ) => Computed;
}

interface Computed {
  readonly loss: tf.Scalar;
  readonly stats: Tensors;
  readonly outputs?: Tensors;
}

/** Anything computed from parameters and a micro-batch without a gradient. */
export interface InferenceProgram extends TrainingProgram {
  readonly infer: (parameters: ModelParameters, batch: Record<string, tf.Tensor>) => Tensors;
}

/** A policy whose Fisher information is asked for. */
export interface FisherProgram extends TrainingProgram {
  /** z [N, V], the logits of its distributions. Each counts as `mask` [N] says, which must be among the inputs. */
  readonly logits: (parameters: ModelParameters, batch: Record<string, tf.Tensor>) => tf.Tensor2D;
}

/** A loss that is measured beside the parameters of the snapshot. Its sums are those of a {@link LossProgram}. */
export interface TrialProgram extends TrainingProgram {
  readonly loss: (
    parameters: ModelParameters,
    snapshot: ModelParameters,
    batch: Record<string, tf.Tensor>,
    normaliser: tf.Scalar,
  ) => Computed;
}

/** Every program that a run will ask its trainer for, by the name that it asks by. */
export interface Programs {
  /** Losses whose gradients are wanted. */
  readonly gradients?: Readonly<Record<string, LossProgram>>;
  /** Losses that are measured. */
  readonly losses?: Readonly<Record<string, LossProgram>>;
  readonly inference?: Readonly<Record<string, InferenceProgram>>;
  /** Over models that a line search moves. */
  readonly fisher?: Readonly<Record<string, FisherProgram>>;
  readonly trials?: Readonly<Record<string, TrialProgram>>;
}

/** What a loss program says of a micro-batch. */
export interface Measured {
  /** `loss` and the stats, which add up over micro-batches. */
  readonly stats: Readonly<Record<string, number>>;
  readonly outputs: Buffers;
}

export const NORMALISER = 'normaliser';
const STAT = 'stat.';
const OUTPUT = 'output.';

export interface GradientOptions {
  /** Keeps the inputs of layers alone for a gradient, which computes the rest again, layer by layer. */
  readonly recomputes: boolean;
}

/** Adds the gradient of every trained tensor to the state, and gives the loss, its stats and its outputs. */
export function gradientProgram(
  layout: Layout,
  { loss, roles }: LossProgram,
  batch: Specs,
  { recomputes }: GradientOptions,
): Program {
  const reads = namesOf(layout, roles);
  const trained = reads.filter((name) => !layout.tensors.get(name)!.frozen);
  return {
    inputs: lossInputs(batch),
    reads: reads.map(parameter),
    run(state, inputs) {
      let kept: Record<string, tf.Tensor> = {};
      const { value, grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) => {
        const variables = Object.fromEntries(trained.map((name, i) => [parameter(name), tensors[i]!]));
        const compute = () =>
          loss(
            byRole(layout, roles, { ...state, ...variables }),
            { ...inputs },
            inputs[NORMALISER] as tf.Scalar,
          );
        const computed = recomputes ? recomputingLayers(tensors, compute) : compute();
        // tfjs forgets what a differentiated function computed besides its value.
        kept = mapped(besidesLoss(computed), (tensor) => tf.keep(tf.clone(tensor)));
        return computed.loss;
      })(trained.map((name) => state[parameter(name)]!));
      const others = mapped(kept, (tensor) => tf.clone(tensor));
      for (const tensor of Object.values(kept)) tensor.dispose();
      return {
        outputs: { loss: value, ...others },
        added: Object.fromEntries(trained.map((name, i) => [gradient(name), grads[i]!])),
      };
    },
  };
}

/** The loss, its stats and its outputs alone. */
export const lossProgram = (layout: Layout, { loss, roles }: LossProgram, batch: Specs): Program => ({
  inputs: lossInputs(batch),
  reads: namesOf(layout, roles).map(parameter),
  run(state, inputs) {
    const computed = loss(byRole(layout, roles, state), { ...inputs }, inputs[NORMALISER] as tf.Scalar);
    return { outputs: { loss: computed.loss, ...besidesLoss(computed) } };
  },
});

/** Adds F v, with v the direction, to the gradient of every trained tensor in the state. */
export function fisherProgram(
  layout: Layout,
  { logits, roles }: FisherProgram,
  batch: Specs,
  { recomputes }: GradientOptions,
): Program {
  const reads = namesOf(layout, roles);
  const trained = reads.filter((name) => !layout.tensors.get(name)!.frozen);
  return {
    inputs: lossInputs(batch),
    reads: [...reads.map(parameter), ...trained.map(direction)],
    run(state, inputs) {
      const Fv = fisherVectorProduct(
        (...theta) => {
          const variables = Object.fromEntries(trained.map((name, i) => [parameter(name), theta[i]!]));
          const compute = () => logits(byRole(layout, roles, { ...state, ...variables }), { ...inputs });
          return recomputes ? recomputingLayers(theta, compute) : compute();
        },
        trained.map((name) => state[parameter(name)]!),
        trained.map((name) => state[direction(name)]!),
        { mask: inputs.mask!, normaliser: inputs[NORMALISER] as tf.Scalar },
      );
      return { added: Object.fromEntries(trained.map((name, i) => [gradient(name), Fv[i]!])) };
    },
  };
}

/** A loss, its stats and its outputs, of parameters and of those of the snapshot. */
export const trialProgram = (layout: Layout, { loss, roles }: TrialProgram, batch: Specs): Program => {
  const names = namesOf(layout, roles);
  // What is frozen is where it was.
  const before = (name: string) => (layout.tensors.get(name)!.frozen ? parameter(name) : snapshot(name));
  return {
    inputs: lossInputs(batch),
    reads: [...new Set([...names.map(parameter), ...names.map(before)])],
    run(state, inputs) {
      const computed = loss(
        byRole(layout, roles, state),
        byRole(layout, roles, state, before),
        { ...inputs },
        inputs[NORMALISER] as tf.Scalar,
      );
      return { outputs: { loss: computed.loss, ...besidesLoss(computed) } };
    },
  };
};

export const inferenceProgram = (
  layout: Layout,
  { infer, roles }: InferenceProgram,
  batch: Specs,
): Program => ({
  inputs: batch,
  reads: namesOf(layout, roles).map(parameter),
  run: (state, inputs) => ({ outputs: infer(byRole(layout, roles, state), { ...inputs }) }),
});

/** Names of tensors of the state: a parameter, and what is added up of its gradient. */
export const parameter = (name: string): string => `p.${name}`;
export const gradient = (name: string): string => `g.${name}`;
/** Of a parameter that a line search moves: what it was, and where it goes. */
export const snapshot = (name: string): string => `snapshot.${name}`;
export const direction = (name: string): string => `direction.${name}`;

export function readMeasured(buffers: Buffers): Measured {
  const under = (prefix: string) =>
    Object.entries(buffers).flatMap(([name, buffer]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), buffer] as const] : [],
    );
  const stats = under(STAT).map(([name, buffer]) => [name, buffer[0]!] as const);
  return {
    stats: { loss: buffers.loss![0]!, ...Object.fromEntries(stats) },
    outputs: Object.fromEntries(under(OUTPUT)),
  };
}

const lossInputs = (batch: Specs): Specs => ({ ...batch, [NORMALISER]: float32() });

const namesOf = (layout: Layout, roles: readonly Role[]): string[] => [
  ...new Set(roles.flatMap((role) => [...layout.namesOf(role).values()])),
];

const byRole = (
  layout: Layout,
  roles: readonly Role[],
  state: Tensors,
  as: (name: string) => string = parameter,
): ModelParameters =>
  Object.fromEntries(
    roles.map((role) => [
      role,
      Object.fromEntries([...layout.namesOf(role)].map(([name, full]) => [name, state[as(full)]!])),
    ]),
  ) as ModelParameters;

const besidesLoss = ({ stats, outputs = {} }: Computed): Tensors =>
  Object.fromEntries([
    ...Object.entries(stats).map(([name, tensor]) => [STAT + name, tensor] as const),
    ...Object.entries(outputs).map(([name, tensor]) => [OUTPUT + name, tensor] as const),
  ]);

const mapped = (tensors: Tensors, of: (tensor: tf.Tensor) => tf.Tensor): Record<string, tf.Tensor> =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, of(tensor)]));
