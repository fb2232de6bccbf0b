import { readFile } from 'node:fs/promises';
import {
  type Buffers,
  cpuEngine,
  type Engine,
  int32,
  onnxEngine,
  type Specs,
  type Tensors,
} from '@rlhf-streams/tensor';
import { describe, expect, it } from 'vitest';
import { readCheckpoint } from '../checkpoint/directory.js';
import { readSafetensors } from '../checkpoint/safetensors.js';
import { createGenerator } from '../generation/generator.js';
import { keyFor } from '../sampling/rollout-draws.js';
import { logprobScorer, rewardScorer } from '../scoring.js';
import { parameterSpecs } from '../weights.js';
import { architectureOf } from './index.js';

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

async function computed(
  engine: Engine,
  inputs: Specs,
  feeds: Buffers,
  program: (t: Tensors) => Tensors,
): Promise<Buffers> {
  const workspace = await engine.open({});
  await workspace.add({ program: { inputs, reads: [], run: (_, t) => ({ outputs: program(t) }) } });
  return workspace.run('program', feeds);
}

const withRewards = ['gpt2', 'llama-tied', 'llama-untied', 'mistral', 'qwen2', 'qwen3'];
/** RoPE scaled beyond the original length, a sliding window shorter than the texts, biases, multi-query attention. */
const variants = ['llama-linear', 'llama-llama3', 'llama-biases', 'mistral-window'];
const engines: Engine[] = [cpuEngine(), onnxEngine()];
const onBoth = (models: readonly string[]) =>
  models.flatMap((model) => engines.map((engine) => ({ model, engine, name: engine.name })));

describe.each(onBoth([...withRewards, ...variants]))(
  'the $model checkpoint of transformers on $name',
  ({ model, engine }) => {
    it('has its logits', async () => {
      const { config, parameters, expected } = await load(model);
      const { tensors } = await readSafetensors(fixture(`${model}/expected.safetensors`));
      const { forward, languageHead } = architectureOf(config);
      for (const { input_ids, logits_tensor } of expected.cases) {
        const specs = { ...parameterSpecs(config), ids: int32(1, input_ids.length) };
        const feeds = { ...parameters, ids: Int32Array.from(input_ids) };
        const { logits } = await computed(engine, specs, feeds, (t) => ({
          logits: languageHead(config, t, forward(config, t, t.ids!).hidden),
        }));
        close(logits!, tensors.get(logits_tensor)!.data as Float32Array, 1e-4);
      }
    });

    it('has the same logits where only some tokens are asked for', async () => {
      const { config, parameters, expected } = await load(model);
      const { forward, languageHead } = architectureOf(config);
      const T = 6;
      const rows: number[][] = expected.cases
        .slice(0, 2)
        .map((c: { input_ids: number[] }) => c.input_ids.slice(0, T));
      const ids = Int32Array.from(rows.flatMap((row) => [...row, ...Array(T - row.length).fill(0)]));
      const at = Int32Array.of(T + 1, 0, 3, 3);
      const specs = { ...parameterSpecs(config), ids: int32(rows.length, T), at: int32(at.length) };
      const { all, some } = await computed(engine, specs, { ...parameters, ids, at }, (t) => ({
        all: languageHead(config, t, forward(config, t, t.ids!).hidden),
        some: languageHead(config, t, forward(config, t, t.ids!, t.at!).hidden),
      }));
      const V = config.vocabSize;
      const picked = [...at].flatMap((place) => [...all!.subarray(place * V, (place + 1) * V)]);
      close(some!, picked, 1e-5);
    });

    it('gives the log-probs of its prompts', async () => {
      const { config, parameters, expected } = await load(model);
      const items = expected.cases.map((c: { input_ids: number[] }) => ({
        tokens: c.input_ids,
        temperature: 1,
      }));
      const scorer = logprobScorer(engine, config, { hash: model, values: parameters });
      const rows = await scorer.score(items);
      rows.forEach((row, i) => {
        close(row, expected.cases[i].token_logprobs, 1e-4);
      });
    });

    it('continues greedily with its tokens', async () => {
      const { config, parameters, expected } = await load(model);
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
  },
);

it.each(onBoth(withRewards))('the score of the reward head of $model on $name', async ({ model, engine }) => {
  const { config, parameters, expected } = await load(`${model}-seqcls`);
  const items = expected.cases.map((c: { input_ids: number[] }) => ({ tokens: c.input_ids }));
  const scorer = rewardScorer(engine, config, { hash: `${model}-seqcls`, values: parameters });
  const scores = await scorer.score(items);
  close(
    scores,
    expected.cases.map((c: { score: number }) => c.score),
    1e-4,
  );
});
