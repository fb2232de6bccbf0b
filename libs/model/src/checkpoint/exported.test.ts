import { describe, expect, it } from 'vitest';
import { newModelConfig } from '../architectures/index.js';
import { withScalarHead } from '../model-config.js';
import { trainByteLevelBpe } from '../tokenizer/bpe-trainer.js';
import { exportedCheckpoint } from './exported.js';

const language = newModelConfig({
  architecture: 'gpt2',
  vocabSize: 300,
  contextLength: 24,
  width: 16,
  layers: 1,
  heads: 2,
  bosTokenId: 2,
  eosTokenIds: [2],
  padTokenId: 0,
});
const scalar = withScalarHead(language);
/** Its end of text is 0, its padding 1. */
const tokenizer = trainByteLevelBpe(['to be'], { vocabSize: 258 });
const extraFiles = new Map<string, Uint8Array>();

describe('exportedCheckpoint', () => {
  it('ends generation at the token that ended what was learned', () => {
    const { config } = exportedCheckpoint({ config: language, tokenizer, extraFiles });
    expect(config).toEqual({ ...language, eosTokenIds: [0, 2] });
    const known = { ...language, eosTokenIds: [4, 0] };
    expect(exportedCheckpoint({ config: known, tokenizer, extraFiles }).config).toEqual(known);
  });

  it('names no padding of a reward model whose texts end with it', () => {
    expect(exportedCheckpoint({ config: scalar, tokenizer, extraFiles }).config).not.toHaveProperty(
      'padTokenId',
    );
    const padded = { ...scalar, padTokenId: 1 };
    expect(exportedCheckpoint({ config: padded, tokenizer, extraFiles }).config).toMatchObject({
      padTokenId: 1,
    });
  });

  it.each([
    ['{"eos_token_id": 2, "top_k": 7}', { eos_token_id: [0, 2], top_k: 7 }],
    ['{"eos_token_id": [2, 3]}', { eos_token_id: [0, 2, 3] }],
    ['{"eos_token_id": null}', { eos_token_id: 0 }],
    ['{}', { eos_token_id: 0 }],
  ])('adds the end of text to a generation_config.json of %s', (text, expected) => {
    const files = new Map([
      ['generation_config.json', Buffer.from(text)],
      ['other.json', Buffer.from(text)],
    ]);
    const exported = exportedCheckpoint({ config: language, tokenizer, extraFiles: files }).extraFiles;
    expect(JSON.parse(`${exported.get('generation_config.json')}`)).toEqual(expected);
    expect(exported.get('other.json')).toBe(files.get('other.json'));
  });

  it.each(['{"eos_token_id":0}', '{"eos_token_id":[3,0]}', '[]', 'no JSON'])(
    'leaves a generation_config.json of %s as it came',
    (text) => {
      const files = new Map([['generation_config.json', Buffer.from(text)]]);
      const exported = exportedCheckpoint({ config: language, tokenizer, extraFiles: files }).extraFiles;
      expect(exported.get('generation_config.json')).toBe(files.get('generation_config.json'));
    },
  );

  it('leaves a model without a tokenizer as it is', () => {
    expect(exportedCheckpoint({ config: scalar, extraFiles })).toEqual({ config: scalar, extraFiles });
  });
});
