import { readFileSync } from 'node:fs';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import { frameOf, framing, offsetsOf } from './post-processor.js';

const json = JSON.parse(
  readFileSync(new URL('../../fixtures/tokenizers/qwen2/tokenizer.json', import.meta.url), 'utf8'),
);
const END = { token: '<|endoftext|>', id: 0 };
const START = { token: '<|im_start|>', id: 2 };
const CLOSE = { token: '<|im_end|>', id: 3 };
const byteLevel = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true };
const bert = { cls: [START.token, START.id], sep: [CLOSE.token, CLOSE.id] };

const processors: [string, object | null, { begin: number[]; end: number[] }][] = [
  ['nothing', null, { begin: [], end: [] }],
  ['a processor of offsets', byteLevel, { begin: [], end: [] }],
  ['a beginning', framing([END], []), { begin: [0], end: [] }],
  ['an end', framing([], [END]), { begin: [], end: [0] }],
  ['both, of several tokens', framing([END, START], [CLOSE, END]), { begin: [0, 2], end: [3, 0] }],
  ['no token at all', framing([], []), { begin: [], end: [] }],
  ['a template after offsets', framing([START], [CLOSE], byteLevel), { begin: [2], end: [3] }],
  [
    'templates one around the other',
    { type: 'Sequence', processors: [framing([START], [CLOSE]), framing([END], [END])] },
    { begin: [0, 2], end: [3, 0] },
  ],
  ["BERT's", { type: 'BertProcessing', ...bert }, { begin: [2], end: [3] }],
  [
    "RoBERTa's",
    { type: 'RobertaProcessing', ...bert, trim_offsets: true, add_prefix_space: false },
    { begin: [2], end: [3] },
  ],
];

describe('frameOf', () => {
  it.each(processors)('%s', (_, post_processor, expected) => {
    expect(frameOf(post_processor)).toEqual(expected);
    const tokenizer = new HuggingFaceTokenizer({ ...json, post_processor }, {});
    const [bare, framed] = [false, true].map(
      (add_special_tokens) => tokenizer.encode('To be.', { add_special_tokens }).ids,
    );
    expect([...expected.begin, ...bare!, ...expected.end]).toEqual(framed);
  });

  it('takes the ids of a template, whatever its tokens are called', () => {
    const post_processor = {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: 'both', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { both: { id: 'both', ids: [2, 3], tokens: ['<|im_start|>', '<|im_end|>'] } },
    };
    expect(frameOf(post_processor)).toEqual({ begin: [2, 3], end: [] });
  });

  it.each<[string, unknown, RegExp]>([
    ['one nobody knows', { type: 'Rot13' }, /post_processor: .*type/s],
    ['no object', 'ByteLevel', /post_processor/],
    ['a template without a text', { ...framing([], []), single: [] }, /expected one \$A/],
    [
      'a template of a token it does not know',
      { ...framing([START], []), special_tokens: {} },
      /<\|im_start\|> of the template among its special_tokens/,
    ],
  ])('refuses %s', (_, postProcessor, message) => {
    expect(() => frameOf(postProcessor)).toThrow(
      expect.objectContaining({
        code: 'MODEL_TOKENIZER_INVALID',
        message: expect.stringMatching(message),
      }),
    );
  });
});

it('framing puts its tokens around each text of a pair', () => {
  const tokenizer = new HuggingFaceTokenizer({ ...json, post_processor: framing([START], [CLOSE]) }, {});
  expect(tokenizer.encode('<|endoftext|>', { text_pair: '<|endoftext|>' }).ids).toEqual([2, 0, 3, 2, 0, 3]);
});

it('offsetsOf finds the processor of offsets alone and in a sequence', () => {
  expect(offsetsOf(byteLevel)).toEqual(byteLevel);
  expect(offsetsOf(framing([START], [], byteLevel))).toEqual(byteLevel);
  expect(offsetsOf(framing([START], []))).toBeUndefined();
  expect(offsetsOf(null)).toBeUndefined();
});
