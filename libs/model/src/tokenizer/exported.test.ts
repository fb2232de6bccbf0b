import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { trainByteLevelBpe } from './bpe-trainer.js';
import { exportedTokenizer } from './exported.js';
import type { TokenizerFiles } from './files.js';
import { framing } from './post-processor.js';
import { loadTokenizer } from './tokenizer.js';

const json = JSON.parse(
  readFileSync(new URL('../../fixtures/tokenizers/qwen2/tokenizer.json', import.meta.url), 'utf8'),
);
const END = { token: '<|endoftext|>', id: 0 };
const CLOSE = { token: '<|im_end|>', id: 3 };
const own = trainByteLevelBpe(['to be'], { vocabSize: 258 });
const foreign = { json, config: { eos_token: CLOSE.token } };
const framed = (begin: (typeof END)[], end: (typeof END)[]) => ({
  ...foreign,
  json: { ...json, post_processor: framing(begin, end) },
});

const policy = { contextLength: 64, head: { kind: 'language' } } as const;
const reward = { contextLength: 64, head: { kind: 'scalar', labels: 1 } } as const;
const frameIn = ({ json, config }: TokenizerFiles) => {
  const { begin, end } = loadTokenizer(json, config);
  return { begin, end };
};

describe('exportedTokenizer', () => {
  it.each<[string, TokenizerFiles, readonly number[], number]>([
    ['made here', own, [0], 0],
    ['without a beginning', foreign, [], 3],
    ['with a beginning', framed([END], []), [0], 3],
    ['with an end of its own', framed([END], [END]), [0], 3],
  ])('of a language model %s begins texts, of a reward model ends them too', (_, files, begin, eos) => {
    expect(frameIn(exportedTokenizer(files, policy))).toEqual({ begin, end: [] });
    expect(frameIn(exportedTokenizer(files, reward))).toEqual({ begin, end: [eos] });
    // A published reward model may be trained on as a policy: its texts no longer end with the token.
    expect(frameIn(exportedTokenizer(exportedTokenizer(files, reward), policy))).toEqual({ begin, end: [] });
  });

  it('leaves a tokenizer.json alone that says so already', () => {
    expect(exportedTokenizer(foreign, policy).json).toBe(json);
    expect(exportedTokenizer(own, policy).json).toBe(own.json);
  });

  it('keeps the tokens of a text and the processor of offsets', () => {
    const { json: scored, config } = exportedTokenizer(foreign, reward);
    expect(loadTokenizer(scored, config).encode('To be.')).toEqual(loadTokenizer(json).encode('To be.'));
    expect(scored).toMatchObject({
      post_processor: { type: 'Sequence', processors: [json.post_processor, { type: 'TemplateProcessing' }] },
    });
  });

  it('names the special tokens, the class and the length, and keeps what came with them', () => {
    const config = { eos_token: CLOSE.token, tokenizer_class: 'GPT2Tokenizer', chat_template: 'x' };
    expect(exportedTokenizer({ json, config }, policy).config).toEqual({
      eos_token: CLOSE.token,
      pad_token: '<|pad|>',
      tokenizer_class: 'PreTrainedTokenizerFast',
      chat_template: 'x',
      model_max_length: 64,
      model_input_names: ['input_ids', 'attention_mask'],
    });
    expect(exportedTokenizer({ json }, policy).config).toMatchObject({ eos_token: '<|endoftext|>' });
  });

  it.each([
    [1e30, 64],
    [32, 32],
    [undefined, 64],
  ])('says of a model_max_length of %s and a context of 64: %d', (model_max_length, expected) => {
    const { config } = exportedTokenizer({ json, config: { model_max_length } }, policy);
    expect(config).toMatchObject({ model_max_length: expected });
  });
});
