/** Generation where programs draw the tokens, on the engine that this is made for. */
import '@rlhf-streams/kafka-broker/vitest';
import { onnxEngine, tensorflowEngine } from '@rlhf-streams/tensor';
import { describe, expect, inject, it } from 'vitest';
import { withAdapter } from '../adapters/peft-config.js';
import { isOfAdapter } from '../adapters/tensors.js';
import { parseModelConfig } from '../architectures/index.js';
import { keyFor } from '../sampling/rollout-draws.js';
import { initialiseWeights } from '../weights.js';
import { createGenerator } from './generator.js';
import type { GenerationRequest } from './request.js';

const gpt2 = parseModelConfig({
  model_type: 'gpt2',
  vocab_size: 97,
  n_positions: 64,
  n_embd: 32,
  n_layer: 2,
  n_head: 4,
  n_inner: 64,
});
const llama = parseModelConfig({
  model_type: 'mistral',
  vocab_size: 97,
  max_position_embeddings: 64,
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 48,
  sliding_window: 12,
  eos_token_id: null,
});
const peft = { rank: 4, alpha: 16, rslora: false, targetModules: ['c_attn'], modulesToSave: [] };

describe.skipIf(!inject('tensorflow')).each([
  ['GPT-2', gpt2, { requests: 20, within: 1e-3 }],
  ['Mistral', llama, { requests: 20, within: 1e-3 }],
  ['GPT-2 with adapters', withAdapter(gpt2, peft, 'test'), { requests: 20, within: 1e-3 }],
  ['GPT-2 with bf16', gpt2, { requests: 3, within: 0.1, precision: 'bf16' as const }],
  // Each program is compiled: these need few. On a GPU kernels that XLA makes take TF32, whatever NVIDIA_TF32_OVERRIDE says.
  ['GPT-2 compiled by XLA', gpt2, { requests: 3, within: 5e-3, xla: true }],
  [
    'GPT-2 with bf16 compiled by XLA',
    gpt2,
    { requests: 3, within: 0.1, precision: 'bf16' as const, xla: true },
  ],
])('on the tensorflow engine, a generator of a %s', (_, config, { requests: count, within, ...options }) => {
  const versions = [1, 2].map((seed) => {
    // Larger than at the start of training, so that the tokens depend on the weights and on what came before.
    const tensors = [...initialiseWeights(config, seed)].map(
      ([name, { data }]) => [name, data.map((x) => x * 4)] as const,
    );
    const some = (ofAdapter: boolean) =>
      Object.fromEntries(tensors.filter(([name]) => isOfAdapter(config, name) === ofAdapter));
    return { adapter: some(true), base: some(false) };
  });
  const frozen = { hash: 'base', values: versions[0]!.base };
  const parametersOf = ({ adapter, base }: (typeof versions)[number]) => (config.adapter ? adapter : base);
  const generatorOn = (engine: Parameters<typeof createGenerator>[0]) =>
    createGenerator(engine, config, { slots: 8, ...(config.adapter && { frozen }) });
  const request = (id: number): GenerationRequest => ({
    weights: { version: `${id % 2}`, parameters: parametersOf(versions[id % 2]!) },
    promptTokens: Array.from({ length: 1 + ((id * 5) % 21) }, (_, i) => (id * 31 + i * 7) % 97),
    sampling: { temperature: id % 5 ? 0.9 : 0, topK: id % 3 ? 40 : 0, topP: id % 4 ? 0.95 : 1 },
    maxNewTokens: 1 + (id % 20),
    stopTokens: [0, 1],
    key: keyFor(7, `${id}`),
  });

  it('gives completions whose log-probs are those of the onnx engine, and the same likeliest tokens', async () => {
    const requests = Array.from({ length: count }, (_, id) => request(id));
    const [device, host] = [generatorOn(tensorflowEngine(options)), generatorOn(onnxEngine())];
    const drawn = await Promise.all(requests.map((each) => device.generate(each)));
    const again = await Promise.all(
      requests.map((each, i) => host.generate({ ...each, given: drawn[i]!.tokens })),
    );
    for (const [i, { tokens, logprobs, finishReason }] of drawn.entries()) {
      expect(again[i]).toMatchObject({ tokens, finishReason });
      for (const [j, logprob] of logprobs.entries())
        expect(Math.abs(logprob - again[i]!.logprobs[j]!)).toBeLessThan(within);
      if (requests[i]!.sampling.temperature === 0 && within < 0.1)
        expect(tokens).toEqual((await host.generate(requests[i]!)).tokens);
    }
  });
});
