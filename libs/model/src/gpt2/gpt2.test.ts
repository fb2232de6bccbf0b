import { readFile } from 'node:fs/promises';
import { cpuEngine, type Engine, float32, int32, onnxEngine } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import {
  createGenerator,
  forward,
  keyFor,
  languageHead,
  logprobScorer,
  parameterSpecs,
  readCheckpoint,
  readSafetensors,
  rewardScorer,
} from '../index.js';
import { gelu, layerNorm } from './ops.js';

const fixture = (path: string) => new URL(`../../fixtures/models/${path}`, import.meta.url).pathname;
const json = async (path: string) => JSON.parse(await readFile(fixture(path), 'utf8'));

async function load(name: string) {
  const { config, tensors } = await readCheckpoint(fixture(name));
  const parameters = Object.fromEntries([...tensors].map(([key, { data }]) => [key, data]));
  return { config, parameters, expected: await json(`${name}/expected.json`) };
}

const close = (came: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) => {
  expect(came.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    expect(Math.abs(came[i]! - expected[i]!), `[${i}]: ${came[i]} for ${expected[i]}`).toBeLessThan(
      tolerance,
    );
  }
};

describe.each<[string, Engine]>([
  ['cpu', cpuEngine()],
  ['onnx', onnxEngine()],
])('the gpt2 checkpoint of transformers on %s', (_name, engine) => {
  it('has its logits', async () => {
    const { config, parameters, expected } = await load('gpt2');
    const { tensors } = await readSafetensors(fixture('gpt2/expected.safetensors'));
    for (const { input_ids, logits_tensor } of expected.cases) {
      const specs = { ...parameterSpecs(config), ids: int32(1, input_ids.length) };
      const program = await engine.compile(
        (t) => ({ logits: languageHead(t, forward(config, t, t.ids!).hidden) }),
        specs,
      );
      const { logits } = await program.run({ ...parameters, ids: Int32Array.from(input_ids) });
      close(logits!, tensors.get(logits_tensor)!.data as Float32Array, 1e-4);
    }
  });

  it('gives the log-probs of its prompts', async () => {
    const { config, parameters, expected } = await load('gpt2');
    const prompts = expected.cases.map((c: { input_ids: number[] }) => c.input_ids);
    const rows = await logprobScorer(engine, config).score(parameters, prompts);
    rows.forEach((row, i) => {
      close(row, expected.cases[i].token_logprobs, 1e-4);
    });
  });

  it('continues greedily with its tokens', async () => {
    const { config, parameters, expected } = await load('gpt2');
    const generator = createGenerator(engine, config, { slots: 4 });
    const weights = { version: 'golden', parameters };
    await Promise.all(
      expected.cases.map(
        async (c: { input_ids: number[]; greedy_ids: number[]; greedy_token_logprobs: number[] }) => {
          const sampling = { temperature: 0, topK: 0, topP: 1 };
          const { tokens, logprobs } = await generator.generate({
            weights,
            promptTokens: c.input_ids,
            sampling,
            maxNewTokens: c.greedy_ids.length,
            stopTokens: [],
            key: keyFor(0, 'x'),
          });
          expect(tokens).toEqual(c.greedy_ids);
          close(logprobs, c.greedy_token_logprobs, 1e-4);
        },
      ),
    );
  });

  it('has the score of its reward head', async () => {
    const { config, parameters, expected } = await load('gpt2-seqcls');
    const sequences = expected.cases.map((c: { input_ids: number[] }) => c.input_ids);
    const scores = await rewardScorer(engine, config).score(parameters, sequences);
    close(
      scores,
      expected.cases.map((c: { score: number }) => c.score),
      1e-4,
    );
  });
});

describe('operators with closed-form gradients', () => {
  const x = float32(3, 8);
  const values = Float32Array.from({ length: 24 }, (_, i) => 3 * Math.sin(i * 1.7));
  const row = (k: number) => Float32Array.from({ length: 8 }, (_, i) => Math.cos(i + k));

  it('gelu is the tanh form, and so is its gradient', async () => {
    const tanhForm = (x: tf.Tensor) =>
      tf.mul(
        tf.mul(x, 0.5),
        tf.add(1, tf.tanh(tf.mul(Math.sqrt(2 / Math.PI), tf.add(x, tf.mul(0.044715, tf.pow(x, 3)))))),
      );
    const program = await cpuEngine().compile(
      ({ x }) => ({
        y: gelu(x!),
        expected: tanhForm(x!),
        dy: tf.grad(gelu)(x!),
        dexpected: tf.grad(tanhForm)(x!),
      }),
      { x },
    );
    const { y, expected, dy, dexpected } = await program.run({ x: values });
    close(y!, expected!, 1e-6);
    close(dy!, dexpected!, 1e-5);
  });

  it('layer norm has the gradient of its composition', async () => {
    const composed = (x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor) => {
      const { mean, variance } = tf.moments(x, -1, true);
      return tf.add(tf.mul(tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, 1e-5))), weight), bias);
    };
    const weigh = (y: tf.Tensor) => tf.mul(y, tf.reshape(tf.range(0, 24, 1), [3, 8]));
    const program = await cpuEngine().compile(
      ({ x, w, b }) => {
        const ours = tf.grads((x, w, b) => weigh(layerNorm(x, w, b, 1e-5)))([x!, w!, b!]);
        const theirs = tf.grads((x, w, b) => weigh(composed(x, w, b)))([x!, w!, b!]);
        return Object.fromEntries([
          ...ours.map((g, i) => [`ours${i}`, g]),
          ...theirs.map((g, i) => [`theirs${i}`, g]),
        ]);
      },
      { x, w: float32(8), b: float32(8) },
    );
    const result = await program.run({ x: values, w: row(0), b: row(5) });
    for (const i of [0, 1, 2]) close(result[`ours${i}`]!, result[`theirs${i}`]!, 2e-4);
  });
});
