import { type Dataset, detectFormat } from '@rlhf-streams/data';
import { ModelError } from '@rlhf-streams/model';
import { itemSchemas, parseRunConfig, type RunConfig, specOf } from '@rlhf-streams/runs';
import { bundledCorpus } from '@rlhf-streams/sentiment';
import { describe, expect, it } from 'vitest';
import { CoordinatorError } from '../errors.js';
import { encoderOf } from './encoder.js';
import * as prepared from './items.js';
import { lettersTokenizer } from './letters.test.support.js';

const END = 0;
/** A token a letter, so that lengths can be read. */
const letters = (text: string) => [...text].map((letter) => letter.charCodeAt(0));
const tokenizer = lettersTokenizer({
  end: END,
  renderChat: (messages) => {
    if (messages.some(({ role }) => role === 'tool'))
      throw new ModelError('MODEL_CHAT_TEMPLATE', 'the template takes no tool');
    return messages.map(({ role, content }) => role[0] + content).join('');
  },
});
const encoder = encoderOf(tokenizer, { contextLength: 16 });

const itemsOf = (...from: Parameters<typeof prepared.itemsOf>) => prepared.itemsOf(...from).items;
const recordedItems = (...from: Parameters<typeof prepared.recordedItems>) =>
  prepared.recordedItems(...from).items;
const feedbackItems = (...from: Parameters<typeof prepared.feedbackItems>) =>
  prepared.feedbackItems(...from).items;

/** What is lost is counted and limited in `account.test.ts`. */
const allow = { dropped: 1, cut: 1 };
const common = { run: 'r', steps: 1, model: 'model', allow };
const sft = parseRunConfig({ ...common, method: 'sft', data: 'd' });
const reward = parseRunConfig({ ...common, method: 'reward', data: 'd' });
const dpo = parseRunConfig({ ...common, method: 'dpo', data: 'd' });
const sampled = { ...common, prompts: 'd', testFraction: 0, promptWords: 2 };
const ppo = parseRunConfig({ ...sampled, method: 'ppo', scorers: ['gold:d'] });
const sample = parseRunConfig({ ...sampled, method: 'sample' });

const datasetOf = (...rows: object[]): Dataset =>
  detectFormat(rows as Record<string, unknown>[], { source: 'rows' });
const texts = datasetOf({ text: 'to be or not' }, { text: 'is it' });
const labelled = datasetOf({ text: 'good', label: 1 }, { text: 'bad', label: 0 });
const prompts = datasetOf({ prompt: 'ab' }, { prompt: 'cd' }, { prompt: 'ab' });
const completions = datasetOf({ prompt: 'ab', completion: 'cd' });
const preferences = datasetOf({ prompt: 'ab', chosen: 'good', rejected: 'bad', margin: 0.5 });
const ranked = datasetOf({ prompt: 'ab', completions: ['x', 'y', 'z'], ranks: [3, 1, 1] });
const rewarded = datasetOf({ prompt: 'ab', completions: ['x', 'y', 'z'], rewards: [0.5, 2, 0.5] });

const failure = (work: () => unknown): CoordinatorError => {
  try {
    work();
  } catch (error) {
    return error as CoordinatorError;
  }
  throw new Error('expected an error, got none');
};

describe('demonstrations', () => {
  const items = (dataset: Dataset, config: RunConfig = sft) => itemsOf(config, dataset, encoder);

  it('of texts follow the end-of-text token and end with it', () => {
    expect(items(labelled)).toEqual([
      { split: 'train', promptTokens: [END], tokens: [...letters('good'), END] },
      { split: 'train', promptTokens: [END], tokens: [...letters('bad'), END] },
    ]);
  });

  it('of prompts and completions learn the completion', () => {
    expect(items(completions)).toEqual([
      { split: 'train', promptTokens: [END, ...letters('ab')], tokens: [...letters('cd'), END] },
    ]);
  });

  it('are cut to the context, or to maxLength where that is shorter', () => {
    const long = datasetOf({ text: 'a'.repeat(40) });
    expect(items(long)).toMatchObject([{ tokens: letters('a'.repeat(15)) }]);
    const short = parseRunConfig({ ...common, method: 'sft', data: 'd', sft: { maxLength: 4 } });
    expect(items(long, short)).toMatchObject([{ tokens: letters('aaa') }]);
  });

  it('leave out what has no room for a completion', () => {
    const rows = [
      { prompt: 'a'.repeat(15), completion: 'b' },
      { prompt: 'a'.repeat(14), completion: 'b' },
    ];
    expect(items(datasetOf(...rows))).toMatchObject([{ tokens: letters('b') }]);
    expect(failure(() => items(datasetOf(rows[0]!)))).toMatchObject({ code: 'RUN_DATA_EMPTY' });
  });
});

describe('prompts', () => {
  it('are each taken once, after the end-of-text token', () => {
    const expected = [
      { split: 'train', text: 'ab', tokens: [END, ...letters('ab')] },
      { split: 'train', text: 'cd', tokens: [END, ...letters('cd')] },
    ];
    expect(itemsOf(ppo, prompts, encoder)).toEqual(expected);
    expect(itemsOf(sample, prompts, encoder)).toEqual(expected);
  });

  it('of texts are their first words', () => {
    expect(itemsOf(ppo, texts, encoder)).toMatchObject([{ text: 'to be' }]);
  });

  it.each([
    ['completions', completions],
    ['preferences', preferences],
    ['rankings', ranked],
  ])('of %s are their prompts', (_, dataset) => {
    expect(itemsOf(ppo, dataset, encoder)).toMatchObject([{ text: 'ab' }]);
  });

  it('of conversations are the text that the chat template makes of them, and keep their messages', () => {
    const user = (content: string) => ({ role: 'user', content });
    const metadata = { answer: 4 };
    const dataset = datasetOf(
      { messages: [user('2+2?'), { role: 'assistant', content: '4' }], metadata },
      { messages: [user('2+2?')] },
      { messages: [user('2+2?')] },
      { messages: [{ role: 'tool', content: '4' }] },
    );
    const expected = { split: 'train', text: 'u2+2?', messages: [user('2+2?')], tokens: letters('u2+2?') };
    for (const config of [ppo, sample]) {
      const { items, data } = prepared.itemsOf(config, dataset, encoder);
      expect(items).toEqual([{ ...expected, metadata }, expected]);
      expect(data.dropped).toEqual({ 'duplicate prompt': 1, 'the template takes no tool': 1 });
    }
    const other = { code: 'RUN_SOURCE_UNFIT', message: expect.stringContaining('got conversation rows') };
    expect(() => itemsOf(dpo, dataset, encoder)).toThrow(expect.objectContaining(other));
  });

  it('of conversations need a model with a chat template', () => {
    const renderChat = () => {
      throw new ModelError('MODEL_CHAT_TEMPLATE_MISSING', 'none');
    };
    const bare = encoderOf({ ...tokenizer, renderChat }, { contextLength: 16 });
    const dataset = datasetOf({ messages: [{ role: 'user', content: 'Hi' }] });
    expect(() => itemsOf(sample, dataset, bare)).toThrow(
      expect.objectContaining({ code: 'MODEL_CHAT_TEMPLATE_MISSING' }),
    );
  });

  it('leave room for a token at least', () => {
    const rows = datasetOf({ prompt: 'a'.repeat(15) }, { prompt: 'a'.repeat(14) });
    expect(itemsOf(ppo, rows, encoder)).toMatchObject([{ text: 'a'.repeat(14) }]);
  });
});

describe.each([
  ['reward', reward],
  ['dpo', dpo],
] as const)('comparisons of a %s run', (method, config) => {
  const items = (dataset: Dataset) => itemsOf(config, dataset, encoder);

  it('of preferences are two completions, the chosen one first', () => {
    expect(items(preferences)).toEqual([
      {
        split: 'train',
        promptText: 'ab',
        promptTokens: [END, ...letters('ab')],
        completions: [
          { text: 'good', tokens: [...letters('good'), END] },
          { text: 'bad', tokens: [...letters('bad'), END] },
        ],
        ranks: [1, 2],
        margin: 0.5,
        labeler: 'dataset',
      },
    ]);
  });

  it('of rankings keep ranks, ties included', () => {
    expect(items(ranked)).toMatchObject([
      { completions: [{ text: 'x' }, { text: 'y' }, { text: 'z' }], ranks: [3, 1, 1] },
    ]);
  });

  it('of rewards are ranked by them, with ties, and keep them', () => {
    expect(items(rewarded)).toMatchObject([
      { ranks: [2, 1, 2], completions: [{ score: 0.5 }, { score: 2 }, { score: 0.5 }] },
    ]);
  });

  it('are left out when one of their completions is too long', () => {
    const long = { prompt: 'ab', chosen: 'a', rejected: 'b'.repeat(13) };
    const fits = { prompt: 'ab', chosen: 'a', rejected: 'b'.repeat(12) };
    expect(items(datasetOf(long, fits))).toMatchObject([{ completions: [{}, { text: 'b'.repeat(12) }] }]);
    const short = parseRunConfig({ ...common, method, data: 'd', [method]: { maxLength: 14 } });
    expect(failure(() => itemsOf(short, datasetOf(long, fits), encoder))).toMatchObject({
      code: 'RUN_DATA_EMPTY',
    });
  });

  it('recorded by another run are taken as they are, but for those too long', () => {
    const [item] = items(preferences);
    const { split: _, ...recorded } = item as Extract<typeof item, { ranks: unknown }>;
    expect(recordedItems(config, [recorded], encoder)).toEqual([item]);
    expect(failure(() => recordedItems(config, [recorded], { contextLength: 7 }))).toMatchObject({
      code: 'RUN_DATA_EMPTY',
    });
  });
});

describe.each([
  ['reward', reward],
  ['dpo', dpo],
] as const)('feedback as comparisons of a %s run', (method, config) => {
  const feedback = {
    feedback: 'ticket-1',
    collection: 'support',
    prompt: 'ab',
    completions: ['x', 'yy', 'x'],
    ranks: [2, 1, 2],
    margin: 0.5,
    labeler: 'agent-7',
    metadata: { seconds: 3 },
  };

  it('is tokenised, and known by its id and who ranked', () => {
    const items = feedbackItems(config, [feedback], encoder);
    expect(items).toEqual([
      {
        split: 'train',
        promptText: 'ab',
        promptTokens: [END, ...letters('ab')],
        completions: [
          { text: 'x', tokens: [...letters('x'), END] },
          { text: 'yy', tokens: [...letters('yy'), END] },
          { text: 'x', tokens: [...letters('x'), END] },
        ],
        ranks: [2, 1, 2],
        margin: 0.5,
        labeler: 'agent-7',
        metadata: { feedback: 'ticket-1' },
      },
    ]);
    for (const item of items)
      expect(itemSchemas.comparisons.parse(JSON.parse(JSON.stringify(item)))).toEqual(item);
  });

  it('is split like any data, and held out as configured', () => {
    const many = Array.from({ length: 50 }, (_, i) => ({ ...feedback, feedback: `ticket-${i}` }));
    const half = parseRunConfig({ ...common, method, data: 'd', testFraction: 0.5, maxTestItems: 7 });
    const items = feedbackItems(half, many, encoder);
    expect(items.filter(({ split }) => split === 'test')).toHaveLength(7);
    expect(feedbackItems(half, many, encoder)).toEqual(items);
  });

  it('is left out where the model or the log could not take it', () => {
    const long = { ...feedback, prompt: 'a'.repeat(20) };
    expect(feedbackItems(config, [long, feedback], encoder)).toHaveLength(1);
    const roomy = { ...encoder, contextLength: 1000 };
    const completions = [...Array(59).fill('x'.repeat(900)), 'y'];
    const wide = { ...feedback, completions, ranks: [...Array(59).fill(2), 1] };
    expect(feedbackItems(config, [wide, feedback], roomy)).toHaveLength(1);
  });
});

describe('items of a model whose texts begin with no token', () => {
  const START = 1;
  const bare = encoderOf({ ...tokenizer, begin: [] }, { contextLength: 16, bosTokenId: START });
  const split = 'train';

  it('of texts are learned from their second token on, and of an empty one there is nothing to learn', () => {
    const dataset = datasetOf({ text: 'good' }, { text: '' }, { text: 'b' });
    expect(itemsOf(sft, dataset, bare)).toEqual([
      { split, promptTokens: [], tokens: [...letters('good'), END] },
      { split, promptTokens: [], tokens: [...letters('b'), END] },
    ]);
    const long = datasetOf({ text: 'a'.repeat(40) });
    expect(itemsOf(sft, long, bare)).toMatchObject([{ tokens: letters('a'.repeat(16)) }]);
  });

  it('of completions and preferences have their prompts, which may be empty', () => {
    const pairs = datasetOf({ prompt: 'ab', completion: 'c' }, { prompt: '', completion: 'd' });
    expect(itemsOf(sft, pairs, bare)).toEqual([
      { split, promptTokens: letters('ab'), tokens: [...letters('c'), END] },
      { split, promptTokens: [], tokens: [...letters('d'), END] },
    ]);
    const rows = datasetOf(
      { prompt: 'ab', chosen: 'c', rejected: 'd' },
      { prompt: '', chosen: 'c', rejected: 'd' },
    );
    for (const config of [dpo, reward]) {
      const items = itemsOf(config, rows, bare);
      expect(items).toMatchObject([{ promptTokens: letters('ab') }, { promptTokens: [] }]);
      for (const item of items) expect(itemSchemas.comparisons.parse(item)).toEqual(item);
    }
  });

  it('to sample from are never without a token', () => {
    expect(itemsOf(sample, datasetOf({ prompt: '' }, { prompt: 'ab' }), bare)).toMatchObject([
      { text: '', tokens: [START] },
      { text: 'ab', tokens: letters('ab') },
    ]);
  });
});

describe('every item', () => {
  it.each([
    [sft, [texts, labelled, completions]],
    [reward, [preferences, ranked, rewarded]],
    [dpo, [preferences, ranked, rewarded]],
    [ppo, [texts, prompts, completions, preferences, ranked]],
    [sample, [texts, prompts, completions, preferences, ranked]],
  ] as const)('of $method comes back from a line of JSON', (config, datasets) => {
    const schema = itemSchemas[specOf(config).data.kind];
    for (const item of datasets.flatMap((dataset) => itemsOf(config, dataset, encoder))) {
      expect(schema.parse(JSON.parse(JSON.stringify(item)))).toEqual(item);
    }
  });
});

describe('held-out items', () => {
  const corpus = detectFormat(bundledCorpus({ size: 200 }), { source: 'bundled' });
  const roomy = { ...encoder, contextLength: 1000 };
  const splitBy = (change: object) => {
    const config = parseRunConfig({ ...common, method: 'sft', data: 'd', testFraction: 0.25, ...change });
    const items = itemsOf(config, corpus, roomy);
    const of = (split: string) =>
      items.filter((item) => item.split === split).map((item) => JSON.stringify({ ...item, split: '' }));
    return { train: of('train'), test: of('test') };
  };

  it('are never trained on, and the same whatever the seed of the run', () => {
    const { train, test } = splitBy({ seed: 1 });
    expect(train.length + test.length).toBe(200);
    expect(test.filter((item) => train.includes(item))).toEqual([]);
    expect(splitBy({ seed: 2 })).toEqual({ train, test });
  });

  it('are at most maxTestItems', () => {
    const { train, test } = splitBy({});
    expect(splitBy({ maxTestItems: 7 })).toEqual({ train, test: test.slice(0, 7) });
  });
});

describe('data that does not fit', () => {
  it.each([
    ['sft', sft, preferences, /demonstrations.*\{prompt, completion\} or \{messages\}; got preference rows/],
    ['reward', reward, labelled, /comparisons.*\{prompt, chosen, rejected\}.*got labelled rows/],
    ['dpo', dpo, prompts, /got prompt rows/],
  ])('%s: the message says what came and what is expected', (_, config, dataset, message) => {
    const error = failure(() => itemsOf(config, dataset, encoder));
    expect(error).toBeInstanceOf(CoordinatorError);
    expect(error.code).toBe('RUN_SOURCE_UNFIT');
    expect(error.message).toMatch(message);
  });

  it.each([
    ['sft', sft],
    ['ppo', ppo],
    ['sample', sample],
  ])('recorded comparisons and feedback are no data of a %s run', (_, config) => {
    expect(failure(() => recordedItems(config, [], encoder))).toMatchObject({ code: 'RUN_SOURCE_UNFIT' });
    expect(failure(() => feedbackItems(config, [], encoder))).toMatchObject({ code: 'RUN_SOURCE_UNFIT' });
  });

  it('nothing to train on is an error', () => {
    const held = parseRunConfig({ ...common, method: 'sft', data: 'd', testFraction: 0.9 });
    const only = Array.from({ length: 50 }, (_, i) => datasetOf({ text: `text ${i}` }));
    const outcomes = only.map((dataset) => {
      try {
        return itemsOf(held, dataset, encoder).length;
      } catch (error) {
        return (error as CoordinatorError).code;
      }
    });
    expect(new Set(outcomes)).toEqual(new Set([1, 'RUN_DATA_EMPTY']));
  });
});
