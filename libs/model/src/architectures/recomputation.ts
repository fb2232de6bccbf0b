/** Recomputation of activations layer by layer (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"). */
import { after, type Tensors } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { LayerCache, Parameters } from '../architecture.js';

/**
 * A layer as a pure function of its input, its parameters and tensors that nothing is learned for: tensors from elsewhere it
 * may not use.
 * @returns its output, and what it attends to, for a cache
 */
export type Layer = (
  x: tf.Tensor,
  p: Parameters,
  constants: Tensors,
) => { readonly output: tf.Tensor; readonly own: LayerCache };

/** The tensors that the gradient under way is taken for, where layers are computed again for it. */
let learned: ReadonlySet<tf.Tensor> | undefined;

/**
 * Within `work`, a layer keeps its input alone for a gradient with respect to these parameters (and to what is computed from
 * them); the gradient computes the rest again. It is the same to the last bits, and so is a vector-Jacobian product's
 * derivative in its vector, as of Fisher-vector products.
 */
export function recomputingLayers<T>(parameters: readonly tf.Tensor[], work: () => T): T {
  const before = learned;
  learned = new Set(parameters);
  try {
    return work();
  } finally {
    learned = before;
  }
}

/**
 * Goes through the layers of a model.
 * @param layers each with what the names of its parameters begin with
 * @param at tokens that the last layer is given among its constants: behind its attention nothing is computed for others
 * @returns the last one's output, and what each attends to, for a cache: nothing where layers will be computed again
 */
export function throughLayers(
  layers: readonly { readonly layer: Layer; readonly prefix: string }[],
  x: tf.Tensor,
  p: Parameters,
  constants: Tensors,
  at?: tf.Tensor,
): { readonly output: tf.Tensor; readonly cache: LayerCache[] } {
  let output = x;
  const cache: LayerCache[] = [];
  layers.forEach(({ layer, prefix }, index) => {
    const given = at && index === layers.length - 1 ? { ...constants, at } : constants;
    const through = throughLayer(layer, output, parametersUnder(p, prefix), given);
    output = through.output;
    if (through.own) cache.push(through.own);
  });
  return { output, cache };
}

/**
 * Goes through a layer.
 * @param p of the layer alone; those of them that are learned must be used by it
 * @returns its output, and what is cached: nothing where the layer will be computed again
 */
function throughLayer(
  layer: Layer,
  x: tf.Tensor,
  p: Parameters,
  constants: Tensors,
): { readonly output: tf.Tensor; readonly own?: LayerCache } {
  if (!learned) return layer(x, p, constants);
  const isLearned = learned;
  const names = Object.keys(p).filter((name) => isLearned.has(p[name]!));
  const others = Object.entries(constants);
  const run = (constants: readonly tf.Tensor[], [x, ...tensors]: readonly tf.Tensor[]) =>
    layer(
      x!,
      { ...p, ...Object.fromEntries(names.map((name, i) => [name, tensors[i]!])) },
      Object.fromEntries(others.map(([name], i) => [name, constants[i]!])),
    ).output;
  const output = tf.customGrad((...args) => {
    const given = args.slice(0, -1) as tf.Tensor[];
    const save = args.at(-1) as unknown as tf.GradSaveFunc;
    save([...given, ...others.map(([, tensor]) => tensor)]);
    return {
      value: run(
        others.map(([, tensor]) => tensor),
        given,
      ),
      gradFunc(dy: tf.Tensor, saved: tf.Tensor[]) {
        const [x, ...tensors] = saved.slice(0, given.length) as [tf.Tensor, ...tf.Tensor[]];
        const constants = saved.slice(given.length);
        // Computed again only when the gradient has come down to this layer.
        const [dx, ...others] = keepingTape(() =>
          tf.grads((...args: tf.Tensor[]) => run(constants, args))([after(x, dy), ...tensors], dy),
        );
        // The layer below begins when this one has nothing left to do.
        return [others.length > 0 ? after(dx!, ...others) : dx!, ...others];
      },
    };
  })(x, ...names.map((name) => p[name]!));
  return { output };
}

/** tfjs forgets the tape of a gradient when another gradient is taken on its way back. */
function keepingTape<T>(work: () => T): T {
  const { state } = tf.engine();
  const { activeTape } = state;
  try {
    return work();
  } finally {
    state.activeTape = activeTape;
  }
}

/** The parameters whose names begin so: those of a layer. */
const parametersUnder = (p: Parameters, prefix: string): Parameters =>
  Object.fromEntries(Object.entries(p).filter(([name]) => name.startsWith(prefix)));
