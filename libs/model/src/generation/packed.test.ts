/** Generation by weights that lie laid out in a file: prompts are read in parts, and steps are of as few rows as there are sequences. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Frozen, onnxEngine, packedContents, packedTensors } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseModelConfig } from '../architectures/index.js';
import type { ModelConfig } from '../model-config.js';
import { keyFor } from '../sampling/rollout-draws.js';
import { logprobScorer } from '../scoring.js';
import { initialiseWeights, parameterSpecs } from '../weights.js';
import { createGenerator } from './generator.js';
import { generationProducts } from './programs.js';
import type { GenerationRequest } from './request.js';

const llama = {
  vocab_size: 97,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 100,
};
const configs: Record<string, ModelConfig> = {
  'GPT-2': parseModelConfig({
    model_type: 'gpt2',
    vocab_size: 97,
    n_positions: 100,
    n_embd: 32,
    n_layer: 2,
    n_head: 4,
    n_inner: 64,
  }),
  Llama: parseModelConfig({ model_type: 'llama', ...llama }),
  'Mistral with a window': parseModelConfig({ model_type: 'mistral', ...llama, sliding_window: 11 }),
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'packed-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Initial weights, four times as large: tokens depend on them and on what came before. */
async function packed(name: string, config: ModelConfig): Promise<Frozen> {
  const file = join(folder, name);
  const offsets: Record<string, number> = {};
  let at = 0;
  const parts = [...initialiseWeights(config, 1)].map(([name, { data }]) => {
    offsets[name] = at;
    at += data.byteLength;
    return new Uint8Array(data.map((x) => x * 4).buffer);
  });
  await writeFile(file, Buffer.concat(parts));
  const laidOut = `${file} laid out`;
  const products = generationProducts(config);
  await writeFile(laidOut, packedContents({ file, offsets }, parameterSpecs(config), products));
  return { hash: name, stored: await packedTensors(laidOut) };
}

describe.each(Object.entries(configs))('%s', (name, config) => {
  let frozen: Frozen;
  beforeAll(async () => {
    frozen = await packed(name, config);
  });
  const weights = { version: 'frozen', parameters: {} };
  const LENGTHS = [1, 31, 32, 33, 64, 90, 95, 5, 70];
  const request = (id: number): GenerationRequest => ({
    weights,
    promptTokens: Array.from({ length: LENGTHS[id % LENGTHS.length]! }, (_, i) => (id * 31 + i * 7) % 97),
    sampling: { temperature: 0.9, topK: id % 2 ? 40 : 0, topP: id % 3 ? 0.95 : 1 },
    maxNewTokens: 2 + (id % 9),
    stopTokens: [],
    key: keyFor(7, `${id}`),
  });
  const ids = Array.from({ length: 19 }, (_, id) => id);
  const generateAll = (slots: number, order: readonly number[]) => {
    const generator = createGenerator(onnxEngine(), config, { slots, frozen });
    return Promise.all(order.map((id) => generator.generate(request(id))));
  };

  it('gives a rollout the same tokens and log-probs beside any others, which are those of scoring', async () => {
    const expected = await generateAll(32, ids);
    expect(await generateAll(5, ids.toReversed())).toEqual(expected.toReversed());
    expect(await generateAll(1, ids.slice(3, 6))).toEqual(expected.slice(3, 6));
    const items = expected.map(({ tokens }, id) => ({
      tokens: [...request(id).promptTokens, ...tokens],
      temperature: 0.9,
    }));
    const scored = await logprobScorer(onnxEngine(), config, frozen).score(items);
    for (const [id, { logprobs }] of expected.entries()) {
      const again = scored[id]!.subarray(request(id).promptTokens.length - 1);
      for (const [i, logprob] of logprobs.entries()) expect(Math.abs(again[i]! - logprob)).toBeLessThan(2e-5);
    }
  });

  it('samples several completions of a prompt as if each were alone', async () => {
    const samples = [0, 1, 2, 3, 4, 5].map((sample) => ({
      ...request(4),
      key: keyFor(7, `sample ${sample}`),
    }));
    const generator = createGenerator(onnxEngine(), config, { slots: 8, frozen });
    const together = await Promise.all(samples.map((sample) => generator.generate(sample)));
    for (const [i, sample] of samples.entries())
      expect(await generator.generate(sample)).toEqual(together[i]);
    expect(new Set(together.map(({ tokens }) => `${tokens}`)).size).toBeGreaterThan(1);
  });
});
