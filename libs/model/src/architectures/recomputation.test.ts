import { fisherVectorProduct } from '@rlhf-streams/alignment';
import { int32, onnxEngine, type Program, sizeOf, type Tensors } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { withAdapter } from '../adapters/peft-config.js';
import { ALL_LINEAR } from '../adapters/targets.js';
import { adapterTensors } from '../adapters/tensors.js';
import { headLogprobs } from '../head-logprobs.js';
import type { ModelConfig } from '../model-config.js';
import { parameterSpecs } from '../weights.js';
import { architectureOf, newModelConfig } from './index.js';
import { recomputingLayers } from './recomputation.js';

const [B, T, N] = [2, 6, 5];
const size = { vocabSize: 31, contextLength: 16, width: 16, layers: 3, heads: 4 };
const gpt2 = newModelConfig({ architecture: 'gpt2', ...size });
const llama = newModelConfig({ architecture: 'llama', kvHeads: 2, ...size });
const adapted = (config: ModelConfig) =>
  withAdapter(
    config,
    { rank: 2, alpha: 3, rslora: false, targetModules: ALL_LINEAR, modulesToSave: [] },
    'a test',
  );
const cases = Object.entries({
  'GPT-2': gpt2,
  Llama: llama,
  'GPT-2 with an adapter': adapted(gpt2),
  'Llama with an adapter': adapted(llama),
});

const feeds = {
  ids: Int32Array.from({ length: B * T }, (_, i) => (7 * i + 3) % 31),
  at: Int32Array.from([1, 3, 4, 7, 10]),
  next: Int32Array.from([5, 0, 30, 12, 9]),
};

/** Results of a program over a model of arbitrary weights; those of an adapter alone are learned where it has one. */
async function resultsOf(
  config: ModelConfig,
  recomputes: boolean,
  computed: (of: {
    learned: tf.Tensor[];
    hidden: (learned: tf.Tensor[]) => tf.Tensor2D;
    output: tf.Tensor2D;
    next: tf.Tensor;
  }) => tf.Tensor[],
) {
  const specs = parameterSpecs(config);
  const names = config.adapter ? [...adapterTensors(config).keys()] : Object.keys(specs);
  const { forward, outputMatrix } = architectureOf(config);
  const program: Program = {
    inputs: { ids: int32(B, T), at: int32(N), next: int32(N) },
    reads: Object.keys(specs),
    run(p, { ids, at, next }) {
      const hidden = (tensors: tf.Tensor[]) => {
        const parameters: Tensors = {
          ...p,
          ...Object.fromEntries(names.map((name, i) => [name, tensors[i]!])),
        };
        const compute = () => forward(config, parameters, ids!, at).hidden;
        return recomputes ? recomputingLayers(tensors, compute) : compute();
      };
      const learned = names.map((name) => p[name]!);
      const results = computed({ learned, hidden, output: outputMatrix(config, p), next: next! });
      return { outputs: Object.fromEntries(results.map((tensor, i) => [names[i] ?? 'value', tensor])) };
    },
  };
  const engine = onnxEngine();
  const space = await engine.open(specs);
  await space.add({ program });
  await space.load(
    Object.fromEntries(
      Object.entries(specs).map(([name, { shape }], k) => [
        name,
        Float32Array.from({ length: sizeOf(shape) }, (_, i) => 0.3 * Math.sin(1.3 * i + k) + 0.05),
      ]),
    ),
  );
  const results = await space.run('program', feeds);
  await space.dispose();
  await engine.close();
  return results;
}

describe.each(cases)('layers of %s that are computed again give', (_, config) => {
  const compare = async (computed: Parameters<typeof resultsOf>[2]) => {
    const kept = await resultsOf(config, false, computed);
    const again = await resultsOf(config, true, computed);
    expect(Object.keys(again).length).toBeGreaterThan(10);
    let largest = 0;
    for (const [name, buffer] of Object.entries(kept))
      buffer.forEach((value, i) => {
        largest = Math.max(largest, Math.abs(value));
        expect(Math.abs(again[name]![i]! - value), name).toBeLessThan(1e-6 * Math.max(1, Math.abs(value)));
      });
    expect(largest).toBeGreaterThan(1e-3);
  };

  it('the gradients of log-probs', () =>
    compare(({ learned, hidden, output, next }) =>
      tf.grads((...tensors: tf.Tensor[]) => {
        const logprobs = headLogprobs({ hidden: hidden(tensors), output, ids: next });
        return tf.sum(tf.mul(logprobs, [1, -2, 0.5, 1, 3]));
      })(learned),
    ));

  it('Fisher-vector products', () =>
    compare(({ learned, hidden, output }) =>
      fisherVectorProduct(
        (...tensors) => tf.matMul(hidden(tensors), output, false, true),
        learned,
        learned.map((tensor) => tf.mul(tensor, 0.1)),
        { mask: tf.ones([N]), normaliser: N },
      ),
    ));
});
