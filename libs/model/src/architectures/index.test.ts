import { expect, it } from 'vitest';
import { architectureOf, newModelConfig, parseModelConfig } from './index.js';

it.each([
  [{ model_type: 'llama' }, 'got "llama"'],
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
      message: `dir/config.json: model_type: expected one of gpt2, ${came}.`,
    }),
  );
});

it('a new model is one that its config.json describes', () => {
  const config = newModelConfig({
    architecture: 'gpt2',
    layers: 2,
    width: 24,
    heads: 3,
    vocabSize: 300,
    contextLength: 64,
    eosTokenIds: [7],
    bosTokenId: 7,
  });
  const written = architectureOf(config).configJson(config);
  expect(parseModelConfig(written)).toEqual({ ...config, extra: { activation_function: 'gelu_new' } });
});
