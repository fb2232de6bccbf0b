import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parseHuggingFaceConfig, toHuggingFace } from './hf-config.js';

const fixture = async (path: string) =>
  JSON.parse(await readFile(new URL(`../../fixtures/models/${path}`, import.meta.url), 'utf8'));

describe('parseHuggingFaceConfig', () => {
  it('reads both spellings of transformers the same', async () => {
    const config = parseHuggingFaceConfig(await fixture('gpt2/config.json'));
    expect(config).toMatchObject({
      architecture: 'gpt2',
      vocabSize: 384,
      contextLength: 96,
      width: 48,
      layers: 2,
      heads: 4,
      mlpWidth: 192,
      layerNormEpsilon: 1e-5,
      bosTokenId: 0,
      eosTokenId: 0,
      padTokenId: 1,
      tieWordEmbeddings: true,
    });
    expect(config).not.toHaveProperty('numLabels');
    const legacy = parseHuggingFaceConfig(await fixture('gpt2/config.legacy.json'));
    expect({ ...legacy, extra: null }).toEqual({ ...config, extra: null });
  });

  it('gives what is missing the values of GPT-2', () => {
    expect(parseHuggingFaceConfig({ model_type: 'gpt2' })).toEqual({
      architecture: 'gpt2',
      vocabSize: 50257,
      contextLength: 1024,
      width: 768,
      layers: 12,
      heads: 12,
      mlpWidth: 3072,
      layerNormEpsilon: 1e-5,
      bosTokenId: 50256,
      eosTokenId: 50256,
      tieWordEmbeddings: true,
    });
    expect(parseHuggingFaceConfig({ model_type: 'gpt2', vocab_size: 300 })).not.toHaveProperty('eosTokenId');
    expect(
      parseHuggingFaceConfig({ model_type: 'gpt2', hidden_size: 24, num_hidden_layers: 3 }),
    ).toMatchObject({
      width: 24,
      layers: 3,
    });
  });

  it('counts the labels of a reward model', async () => {
    expect(parseHuggingFaceConfig(await fixture('gpt2-seqcls/config.json')).numLabels).toBe(1);
    const classifier = { model_type: 'gpt2', architectures: ['GPT2ForSequenceClassification'] };
    expect(parseHuggingFaceConfig({ ...classifier, num_labels: 5 }).numLabels).toBe(5);
    expect(parseHuggingFaceConfig(classifier).numLabels).toBe(2);
  });

  it.each([
    ['gpt2/config.json', 'GPT2LMHeadModel'],
    ['gpt2-seqcls/config.json', 'GPT2ForSequenceClassification'],
  ])('writes %s back with every field it had', async (path, architecture) => {
    const original = await fixture(path);
    const config = parseHuggingFaceConfig(original);
    const written = toHuggingFace(config);
    expect(written).toMatchObject(original);
    expect(written.architectures).toEqual([architecture]);
    expect(parseHuggingFaceConfig(written)).toEqual(config);
  });

  it.each([
    [{ n_head: 5 }, 'MODEL_CONFIG_INVALID', /n_embd must be a multiple of n_head, got 48 and 5/],
    [{ n_layer: 0 }, 'MODEL_CONFIG_INVALID', /n_layer: /],
    [{ n_layer: 1e15 }, 'MODEL_CONFIG_INVALID', /n_layer: /],
    [{ vocab_size: '384' }, 'MODEL_CONFIG_INVALID', /vocab_size: .*expected number/],
    [
      { eos_token_id: 384 },
      'MODEL_CONFIG_INVALID',
      /eos_token_id must be less than vocab_size \(384\), got 384/,
    ],
    [{ model_type: 'llama' }, 'MODEL_CONFIG_INVALID', /model_type: .*gpt2/],
    [{ architectures: ['GPT2DoubleHeadsModel'] }, 'MODEL_CONFIG_INVALID', /architectures/],
    [{ activation_function: 'relu' }, 'MODEL_CONFIG_UNSUPPORTED', /activation_function: .*gelu_new/],
    [{ scale_attn_weights: false }, 'MODEL_CONFIG_UNSUPPORTED', /scale_attn_weights/],
    [
      { scale_attn_by_inverse_layer_idx: true },
      'MODEL_CONFIG_UNSUPPORTED',
      /scale_attn_by_inverse_layer_idx/,
    ],
  ])('refuses %j', async (change, code, message) => {
    const json = { ...(await fixture('gpt2/config.json')), ...change };
    const parse = () => parseHuggingFaceConfig(json, 'dir/config.json');
    expect(parse).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
    expect(parse).toThrow(/^dir\/config\.json: /);
  });

  it.each([[null], [[]], ['gpt2'], [12]])('refuses %j', (json) => {
    expect(() => parseHuggingFaceConfig(json)).toThrow(
      expect.objectContaining({ code: 'MODEL_CONFIG_INVALID' }),
    );
  });
});
