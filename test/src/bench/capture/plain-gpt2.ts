/**
 * The baseline: GPT-2, its loss and its optimizer as one writes them first, of tfjs ops alone. Layer norm, gelu and
 * cross entropy are composed, gradients are tfjs's own, and Adam updates tensor by tensor. What this takes more than
 * the project's model and trainer is what their closed-form gradients and flat parameter vectors bring.
 */
import { architectureOf, type ModelConfig, parameterSpecs } from '@rlhf-streams/model';
import { float32, int32, type Specs } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';

type Tensors = Record<string, tf.Tensor>;
type PlainProgram = (t: Readonly<Tensors>) => Tensors;
type Attention = (layer: number, q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) => tf.Tensor;

const LEARNING_RATE = 1e-3;
const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;
const MASKED = -1e9;

const namesOf = (config: ModelConfig): string[] => Object.keys(parameterSpecs(config));

/** Specs of the parameters, or of the moments, with a prefix. */
const tensorSpecs = (config: ModelConfig, prefix = ''): Specs =>
  Object.fromEntries(Object.entries(parameterSpecs(config)).map(([name, spec]) => [prefix + name, spec]));

/**
 * Forward, backward and Adam: parameters, `m.` and `v.` moments, ids and targets [B, T] -> loss and `next.` of each
 * parameter and moment.
 */
export function plainTrainingStep(
  config: ModelConfig,
  [B, T]: readonly [number, number],
): { program: PlainProgram; specs: Specs } {
  const names = namesOf(config);
  const program: PlainProgram = (t) => {
    const { value, grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) => {
      const logits = logitsOf(
        config,
        Object.fromEntries(names.map((name, i) => [name, tensors[i]!])),
        t.ids!,
      );
      const onehot = tf.oneHot(tf.reshape(t.targets!, [B * T]) as tf.Tensor1D, config.vocabSize);
      return tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(logits), onehot), -1)));
    })(names.map((name) => t[name]!));
    const outputs: Tensors = { loss: value };
    names.forEach((name, i) => {
      const g = grads[i]!;
      const m = tf.add(tf.mul(t[`m.${name}`]!, BETA1), tf.mul(g, 1 - BETA1));
      const v = tf.add(tf.mul(t[`v.${name}`]!, BETA2), tf.mul(tf.square(g), 1 - BETA2));
      outputs[`next.m.${name}`] = m;
      outputs[`next.v.${name}`] = v;
      outputs[`next.${name}`] = tf.sub(
        t[name]!,
        tf.div(tf.mul(m, LEARNING_RATE), tf.add(tf.sqrt(v), EPSILON)),
      );
    });
    return outputs;
  };
  const state = { ...tensorSpecs(config), ...tensorSpecs(config, 'm.'), ...tensorSpecs(config, 'v.') };
  return { program, specs: { ...state, ids: int32(B, T), targets: int32(B, T) } };
}

/**
 * One token further for `rows` sequences at one common position: ids [rows], position [1], mask [1, 1, 1, C] over the
 * cache `keys.i`, `values.i` [rows, H, C, K] -> logits and the new `added.` entries.
 */
export function plainDecodeStep(
  config: ModelConfig,
  rows: number,
  capacity: number,
): { program: PlainProgram; specs: Specs } {
  const each = Array.from({ length: config.layers }, (_, layer) => layer);
  const program: PlainProgram = (t) => {
    const outputs: Tensors = {};
    const embedded = tf.add(
      tf.gather(t['wte.weight']!, t.ids as tf.Tensor1D),
      tf.gather(t['wpe.weight']!, t.position as tf.Tensor1D),
    );
    const hidden = blocks(config, t, embedded, [rows, 1], (layer, q, k, v) => {
      outputs[`added.keys.${layer}`] = k;
      outputs[`added.values.${layer}`] = v;
      const past = tf.add(scaled(tf.matMul(q, t[`keys.${layer}`]!, false, true), config), t.mask!);
      const own = scaled(tf.sum(tf.mul(q, k), -1, true), config);
      const [toPast, toSelf] = tf.split(tf.softmax(tf.concat([past, own], -1)), [capacity, 1], -1);
      return tf.add(tf.matMul(toPast!, t[`values.${layer}`]!), tf.mul(toSelf!, v));
    });
    outputs.logits = tf.matMul(hidden, t['wte.weight'] as tf.Tensor2D, false, true);
    return outputs;
  };
  const cache = each.flatMap((layer) =>
    ['keys', 'values'].map((kind) => [
      `${kind}.${layer}`,
      float32(rows, headsOf(config), capacity, config.width / headsOf(config)),
    ]),
  );
  const step = { ids: int32(rows), position: int32(1), mask: float32(1, 1, 1, capacity) };
  return { program, specs: { ...tensorSpecs(config), ...step, ...Object.fromEntries(cache) } };
}

/** [B, T] -> [B * T, V]. */
function logitsOf(config: ModelConfig, p: Tensors, ids: tf.Tensor): tf.Tensor2D {
  const [B, T] = ids.shape as [number, number];
  const mask = tf.mul(tf.sub(1, tf.linalg.bandPart(tf.ones([T, T]), -1, 0)), MASKED);
  const tokens = tf.reshape(tf.gather(p['wte.weight']!, tf.reshape(ids, [B * T]) as tf.Tensor1D), [
    B,
    T,
    config.width,
  ]);
  const embedded = tf.reshape(tf.add(tokens, tf.slice(p['wpe.weight']!, [0, 0], [T, config.width])), [
    B * T,
    config.width,
  ]);
  const hidden = blocks(config, p, embedded, [B, T], (_layer, q, k, v) =>
    tf.matMul(tf.softmax(tf.add(scaled(tf.matMul(q, k, false, true), config), mask)), v),
  );
  return tf.matMul(hidden, p['wte.weight'] as tf.Tensor2D, false, true);
}

function blocks(
  config: ModelConfig,
  p: Tensors,
  input: tf.Tensor,
  [B, T]: readonly [number, number],
  attend: Attention,
): tf.Tensor2D {
  const { width: D } = config;
  const H = headsOf(config);
  const linear = (x: tf.Tensor, name: string) =>
    tf.add(tf.matMul(x, p[`${name}.weight`]!), p[`${name}.bias`]!);
  const norm = (x: tf.Tensor, name: string) => layerNorm(x, p[`${name}.weight`]!, p[`${name}.bias`]!);
  const toHeads = (x: tf.Tensor) => tf.transpose(tf.reshape(x, [B, T, H, D / H]), [0, 2, 1, 3]);
  const fromHeads = (x: tf.Tensor) => tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [B * T, D]);
  let x = input;
  for (let layer = 0; layer < config.layers; layer++) {
    const name = `h.${layer}`;
    const [q, k, v] = tf.split(linear(norm(x, `${name}.ln_1`), `${name}.attn.c_attn`), 3, -1).map(toHeads);
    x = tf.add(x, linear(fromHeads(attend(layer, q!, k!, v!)), `${name}.attn.c_proj`));
    x = tf.add(x, linear(gelu(linear(norm(x, `${name}.ln_2`), `${name}.mlp.c_fc`)), `${name}.mlp.c_proj`));
  }
  return norm(x, 'ln_f') as tf.Tensor2D;
}

const headsOf = (config: ModelConfig): number => architectureOf(config).cacheShape(config, 1, 1)[1];

const scaled = (scores: tf.Tensor, config: ModelConfig) =>
  tf.div(scores, Math.sqrt(config.width / headsOf(config)));

function layerNorm(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor): tf.Tensor {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centred), -1, true);
  return tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, 1e-5))), weight), bias);
}

function gelu(x: tf.Tensor): tf.Tensor {
  const inner = tf.mul(tf.add(x, tf.mul(tf.mul(tf.square(x), x), 0.044715)), Math.sqrt(2 / Math.PI));
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
}
