import { expect, it } from 'vitest';
import { architectureOf, newModelConfig, parseModelConfig } from './index.js';

it.each([
  [{ model_type: 'gemma2' }, 'got "gemma2"'],
  [{ model_type: 'mixtral' }, 'got "mixtral"'],
  [{ model_type: 'Llama' }, 'got "Llama"'],
  [{ model_type: ['gpt2'] }, 'got ["gpt2"]'],
  [{}, 'got none'],
  [null, 'got none'],
  [[], 'got none'],
  ['gpt2', 'got none'],
  [12, 'got none'],
])('refuses %j as config.json, and names the architectures there are', (json, came) => {
  expect(() => parseModelConfig(json, 'dir/config.json')).toThrow(
    expect.objectContaining({
      code: 'MODEL_CONFIG_INVALID',
      message: `dir/config.json: model_type: expected one of gpt2, llama, mistral, qwen2, qwen3, ${came}.`,
    }),
  );
});

const size = {
  ...{ layers: 2, width: 24, heads: 3, vocabSize: 300, contextLength: 64 },
  ...{ eosTokenIds: [7], bosTokenId: 7 },
};

it.each(['gpt2', 'llama', 'mistral', 'qwen2', 'qwen3'])(
  'a new %s is one that its config.json describes',
  (architecture) => {
    const config = newModelConfig({ architecture, ...size });
    const written = architectureOf(config).configJson(config);
    const { extra: _, ...read } = parseModelConfig(written);
    expect(read).toEqual(config);
  },
);

it('a new llama shares keys and values between heads where it is asked to', () => {
  const config = newModelConfig({ architecture: 'llama', ...size, kvHeads: 1, mlpWidth: 40 });
  const shapes = new Map(
    [...architectureOf(config).tensors(config)].map(([name, { shape }]) => [name, shape]),
  );
  expect(shapes.get('layers.0.self_attn.q_proj.weight')).toEqual([24, 24]);
  expect(shapes.get('layers.0.self_attn.k_proj.weight')).toEqual([8, 24]);
  expect(shapes.get('layers.1.mlp.down_proj.weight')).toEqual([24, 40]);
  expect(architectureOf(config).cacheShape(config, 5, 32)).toEqual([5, 1, 32, 8]);
});
