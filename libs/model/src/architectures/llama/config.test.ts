import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { architectureOf, parseModelConfig } from '../index.js';

const fixture = async (path: string) =>
  JSON.parse(await readFile(new URL(`../../../fixtures/models/${path}`, import.meta.url), 'utf8'));

const members = ['llama-tied', 'llama-untied', 'mistral', 'qwen2', 'qwen3'];

describe('config.json of the Llama family', () => {
  it.each(members)('reads both spellings of %s the same', async (name) => {
    const { extra: _, ...config } = parseModelConfig(await fixture(`${name}/config.json`));
    const { extra: _e, ...legacy } = parseModelConfig(await fixture(`${name}/config.legacy.json`));
    expect(legacy).toEqual(config);
  });

  it.each([
    ...members.flatMap((name) => [`${name}/config.json`, `${name}/config.legacy.json`]),
    'qwen3-seqcls/config.json',
  ])('writes %s back with every field it had', async (path) => {
    const { torch_dtype: _, ...original } = await fixture(path);
    const config = parseModelConfig(original);
    const written = architectureOf(config).configJson(config);
    expect(written).toMatchObject(original);
    expect(parseModelConfig(written)).toMatchObject({ ...config, extra: {} });
  });

  it('tells the members apart', async () => {
    const parsed = async (name: string) => parseModelConfig(await fixture(`${name}/config.json`));
    const none = { qkv: false, output: false, mlp: false };
    const llama = { heads: 4, kvHeads: 2, headWidth: 12, biases: none, queryKeyNorms: false };
    expect(await parsed('llama-untied')).toMatchObject({
      ...llama,
      normEpsilon: 1e-5,
      rope: { type: 'default', theta: 500_000 },
      tieWordEmbeddings: false,
    });
    expect(await parsed('llama-tied')).not.toHaveProperty('slidingWindow');
    expect(await parsed('mistral')).toMatchObject({ ...llama, headWidth: 16, slidingWindow: 64 });
    expect(await parsed('qwen2')).toMatchObject({ biases: { ...none, qkv: true }, headWidth: 12 });
    expect(await parsed('qwen3')).toMatchObject({ queryKeyNorms: true, headWidth: 8 });
  });

  it('gives what is missing the values of transformers', () => {
    expect(parseModelConfig({ model_type: 'llama' })).toEqual({
      ...{ architecture: 'llama', vocabSize: 32000, contextLength: 2048, width: 4096, layers: 32 },
      ...{ heads: 32, kvHeads: 32, headWidth: 128, mlpWidth: 11008, normEpsilon: 1e-6 },
      rope: { type: 'default', theta: 10_000 },
      biases: { qkv: false, output: false, mlp: false },
      queryKeyNorms: false,
      head: { kind: 'language' },
      tieWordEmbeddings: false,
      ...{ bosTokenId: 1, eosTokenIds: [2] },
    });
    expect(parseModelConfig({ model_type: 'mistral' })).toMatchObject({ kvHeads: 8, slidingWindow: 4096 });
    expect(parseModelConfig({ model_type: 'mistral', sliding_window: null })).not.toHaveProperty(
      'slidingWindow',
    );
    expect(parseModelConfig({ model_type: 'qwen3', hidden_size: 64, num_attention_heads: 32 })).toMatchObject(
      {
        headWidth: 128,
      },
    );
    expect(parseModelConfig({ model_type: 'llama', attention_bias: true, mlp_bias: true })).toMatchObject({
      biases: { qkv: true, output: true, mlp: true },
    });
  });

  it.each([
    [
      { rope_parameters: { rope_type: 'linear', factor: 4, rope_theta: 5000 } },
      { type: 'linear', factor: 4, theta: 5000 },
    ],
    [
      { rope_scaling: { type: 'linear', factor: 2 }, rope_theta: 300 },
      { type: 'linear', factor: 2, theta: 300 },
    ],
    [
      {
        rope_theta: 500000,
        rope_scaling: {
          ...{ rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
          original_max_position_embeddings: 64,
        },
      },
      {
        ...{ type: 'llama3', theta: 500000, factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4 },
        originalContextLength: 64,
      },
    ],
  ])('reads the scaling of %j', (fields, rope) => {
    const json = { model_type: 'llama', ...fields };
    const config = parseModelConfig(json);
    expect(config).toMatchObject({ rope });
    expect(architectureOf(config).configJson(config)).toMatchObject(json);
  });

  it.each([
    ['llama', { num_key_value_heads: 3 }, 'INVALID', /multiple of num_key_value_heads, got 4 and 3/],
    ['llama', { head_dim: 7 }, 'INVALID', /head_dim must be even, got 7/],
    [
      'llama',
      { head_dim: null, hidden_size: 50 },
      'INVALID',
      /hidden_size must be a multiple of num_attention_heads/,
    ],
    ['llama', { vocab_size: '384' }, 'INVALID', /vocab_size: .*expected (a )?number/],
    [
      'llama',
      { eos_token_id: [0, 384] },
      'INVALID',
      /eos_token_id must be less than vocab_size \(384\), got 384/,
    ],
    ['llama', { architectures: ['LlamaForTokenClassification'] }, 'INVALID', /architectures/],
    ['llama', { rope_parameters: { rope_type: 'linear' } }, 'INVALID', /rope_parameters: factor/],
    ['llama', { rope_parameters: { rope_type: 'yarn', factor: 4 } }, 'UNSUPPORTED', /rope_type: .*llama3/],
    [
      'llama',
      { rope_scaling: { type: 'dynamic', factor: 4 } },
      'UNSUPPORTED',
      /rope_scaling: rope_type: .*linear/,
    ],
    ['llama', { partial_rotary_factor: 0.5 }, 'UNSUPPORTED', /partial_rotary_factor/],
    ['llama', { attention_dropout: 0.1 }, 'UNSUPPORTED', /attention_dropout: .*0/],
    ['llama', { hidden_act: 'gelu' }, 'UNSUPPORTED', /hidden_act: .*silu/],
    ['llama', { quantization_config: { bits: 4 } }, 'UNSUPPORTED', /quantization_config/],
    ['qwen2', { use_sliding_window: true }, 'UNSUPPORTED', /use_sliding_window/],
    ['qwen3', { layer_types: ['full_attention', 'sliding_attention'] }, 'UNSUPPORTED', /layer_types/],
  ])('refuses a %s with %j', async (type, change, code, message) => {
    const json = {
      ...(await fixture('llama-tied/config.json')),
      architectures: null,
      model_type: type,
      ...change,
    };
    const parse = () => parseModelConfig(json, 'dir/config.json');
    expect(parse).toThrow(
      expect.objectContaining({ code: `MODEL_CONFIG_${code}`, message: expect.stringMatching(message) }),
    );
    expect(parse).toThrow(/^dir\/config\.json: /);
  });
});
