import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parseModelConfig } from '../index.js';
import { configJson, type Gpt2Config, parseConfig } from './config.js';

const fixture = async (path: string) =>
  JSON.parse(await readFile(new URL(`../../../fixtures/models/${path}`, import.meta.url), 'utf8'));

describe('config.json of a GPT-2', () => {
  it('reads both spellings of transformers the same', async () => {
    const config = parseModelConfig(await fixture('gpt2/config.json'));
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
      eosTokenIds: [0],
      padTokenId: 1,
      tieWordEmbeddings: true,
      head: { kind: 'language' },
    });
    const legacy = parseModelConfig(await fixture('gpt2/config.legacy.json'));
    expect({ ...legacy, extra: null }).toEqual({ ...config, extra: null });
  });

  it('gives what is missing the values of GPT-2', () => {
    expect(parseModelConfig({ model_type: 'gpt2' })).toEqual({
      architecture: 'gpt2',
      vocabSize: 50257,
      contextLength: 1024,
      width: 768,
      layers: 12,
      heads: 12,
      mlpWidth: 3072,
      layerNormEpsilon: 1e-5,
      bosTokenId: 50256,
      eosTokenIds: [50256],
      head: { kind: 'language' },
      tieWordEmbeddings: true,
    });
    expect(parseModelConfig({ model_type: 'gpt2', vocab_size: 300 })).not.toHaveProperty('eosTokenIds');
    expect(parseModelConfig({ model_type: 'gpt2', hidden_size: 24, num_hidden_layers: 3 })).toMatchObject({
      width: 24,
      layers: 3,
    });
  });

  it('counts the labels of a reward model', async () => {
    const scalar = (labels: number) => ({ kind: 'scalar', labels });
    expect(parseModelConfig(await fixture('gpt2-seqcls/config.json')).head).toEqual(scalar(1));
    const classifier = { model_type: 'gpt2', architectures: ['GPT2ForSequenceClassification'] };
    expect(parseModelConfig({ ...classifier, num_labels: 5 }).head).toEqual(scalar(5));
    expect(parseModelConfig(classifier).head).toEqual(scalar(2));
    const shifted = parseModelConfig({ ...classifier, num_labels: 1, score_offset: -0.25 });
    expect(shifted.head).toEqual({ ...scalar(1), offset: -0.25 });
    expect(configJson(shifted as Gpt2Config)).toMatchObject({ num_labels: 1, score_offset: -0.25 });
  });

  it.each([
    ['gpt2/config.json', 'GPT2LMHeadModel'],
    ['gpt2-seqcls/config.json', 'GPT2ForSequenceClassification'],
  ])('writes %s back with every field it had', async (path, architecture) => {
    const original = await fixture(path);
    const config = parseConfig(original, 'config.json');
    const written = configJson(config);
    expect(written).toMatchObject(original);
    expect(written.architectures).toEqual([architecture]);
    expect(parseModelConfig(written)).toEqual(config);
  });

  it.each([7, [7, 2]])('writes an end of text of %j back as it came', (eos_token_id) => {
    const config = parseModelConfig({ model_type: 'gpt2', vocab_size: 384, eos_token_id });
    expect(config.eosTokenIds).toEqual([eos_token_id].flat());
    expect(configJson(config as Gpt2Config)).toMatchObject({ eos_token_id });
  });

  it.each([
    [{ n_head: 5 }, 'MODEL_CONFIG_INVALID', /n_embd must be a multiple of n_head, got 48 and 5/],
    [{ n_layer: 0 }, 'MODEL_CONFIG_INVALID', /n_layer: /],
    [{ n_layer: 1e15 }, 'MODEL_CONFIG_INVALID', /n_layer: /],
    [{ vocab_size: '384' }, 'MODEL_CONFIG_INVALID', /vocab_size: .*expected (a )?number/],
    [
      { eos_token_id: 384 },
      'MODEL_CONFIG_INVALID',
      /eos_token_id must be less than vocab_size \(384\), got 384/,
    ],
    [
      { eos_token_id: [0, 500] },
      'MODEL_CONFIG_INVALID',
      /eos_token_id must be less than vocab_size \(384\), got 500/,
    ],
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
    const parse = () => parseModelConfig(json, 'dir/config.json');
    expect(parse).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
    expect(parse).toThrow(/^dir\/config\.json: /);
  });
});
