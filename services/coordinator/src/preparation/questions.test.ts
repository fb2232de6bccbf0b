/** What is judged by log-prob: questions, paired sentences, and the columns by which numbers are told apart. */
import { detectFormat, loadDataset } from '@rlhf-streams/data';
import { bundledSet } from '@rlhf-streams/evaluation';
import { parseRunConfig } from '@rlhf-streams/runs';
import { describe, expect, it } from 'vitest';
import { encoderOf } from './encoder.js';
import { itemsOf } from './items.js';
import { lettersTokenizer } from './letters.test.support.js';

const END = 0;
const letters = (text: string) => [...text].map((letter) => letter.charCodeAt(0));
const encoder = encoderOf(lettersTokenizer({ end: END }), { contextLength: 100 });
const run = { run: 'r', method: 'evaluate', epochs: 1, model: 'm', data: 'd' };
const question = { question: 'Why?', choices: ['so', 'no'], answer: 1, language: 'en' };

describe('the items of an evaluation by log-probs', () => {
  it('are a question and its choices, which have the space before them and no end', () => {
    const { items } = itemsOf(parseRunConfig(run), detectFormat([question]), encoder);
    expect(items).toEqual([
      {
        split: 'train',
        promptText: 'Q: Why?\nA:',
        promptTokens: [END, ...letters('Q: Why?\nA:')],
        completions: [
          { text: ' so', tokens: letters(' so') },
          { text: ' no', tokens: letters(' no') },
        ],
        ranks: [2, 1],
        labeler: 'dataset',
        metadata: { language: 'en' },
      },
    ]);
  });

  it('take the question as it is, whatever it holds, and a template without a space', () => {
    const config = parseRunConfig({ ...run, template: 'Frage $&: {question} ={choice}' });
    const rows = [{ ...question, question: "$& $' {choice}" }];
    const { items } = itemsOf(config, detectFormat(rows), encoder);
    expect(items).toMatchObject([
      { promptText: "Frage $&: $& $' {choice} =", completions: [{ text: 'so' }, { text: 'no' }] },
    ]);
  });

  it('are two sentences after nothing, and preferences as they are learned from', () => {
    const pair = { sent_more: 'a', sent_less: 'b' };
    const sentences = itemsOf(parseRunConfig(run), detectFormat([pair]), encoder);
    expect(sentences.items).toMatchObject([
      {
        promptTokens: [END],
        completions: [{ tokens: letters('a') }, { tokens: letters('b') }],
        ranks: [1, 2],
      },
    ]);
    const preference = { prompt: 'a', chosen: 'b', rejected: 'c', topic: 'x' };
    const config = parseRunConfig({ ...run, keep: ['topic'] });
    const preferences = itemsOf(config, detectFormat([preference], { keep: ['topic'] }), encoder);
    expect(preferences.items).toMatchObject([
      { completions: [{ tokens: [...letters('b'), END] }, {}], metadata: { topic: 'x' } },
    ]);
  });

  it('are refused to methods that learn from comparisons', () => {
    const dpo = parseRunConfig({ run: 'r', method: 'dpo', steps: 1, model: 'm', data: 'd' });
    expect(() => itemsOf(dpo, detectFormat([question]), encoder)).toThrow('got question rows');
  });

  it('are those that training keeps out, where a share is named', () => {
    const rows = Array.from({ length: 40 }, (_, i) => ({ ...question, question: `${i}?` }));
    const { items } = itemsOf(parseRunConfig({ ...run, testFraction: 0.25 }), detectFormat(rows), encoder);
    const test = items.filter(({ split }) => split === 'test');
    expect(test.length).toBeGreaterThan(0);
    expect(test.length).toBeLessThan(40);
  });
});

const asked = { run: 'r', method: 'sample', epochs: 1, model: 'm', prompts: 'd', promptWords: 1 };

describe('what goes along with prompts', () => {
  const rows = Array.from({ length: 60 }, (_, i) => ({
    prompt: `${i % 50}?`,
    completion: `${i}`,
    language: `l${i % 3}`,
  }));
  const heldOut = (change: object, keep: readonly string[] = []) => {
    const config = parseRunConfig({ ...asked, testFraction: 0.3, ...change });
    const { items } = itemsOf(config, detectFormat(rows, { keep }), encoder);
    expect(items).toHaveLength(50);
    return items.flatMap((item) => (item.split === 'test' && 'text' in item ? [item.text] : []));
  };

  it('decides neither which are the same, nor which are held out', () => {
    const plain = heldOut({});
    expect(heldOut({ keep: ['language'] }, ['language'])).toEqual(plain);
    expect(heldOut({ completions: 'given' })).toEqual(plain);
  });

  it('are the completions of the data where a run takes them for samples, cut where they are too long', () => {
    const config = parseRunConfig({ ...asked, testFraction: 0, completions: 'given', allow: { cut: 1 } });
    const [first] = itemsOf(config, detectFormat(rows), encoder).items;
    expect(first).toMatchObject({ text: '0?', completion: { text: '0', tokens: [...letters('0'), END] } });
    const long = detectFormat([{ prompt: 'a', completion: 'x'.repeat(200) }]);
    const [item] = itemsOf(config, long, encoder).items;
    expect((item as { completion: { tokens: number[] } }).completion.tokens).toHaveLength(98);
    const preference = detectFormat([{ prompt: 'a', chosen: 'b', rejected: 'c' }]);
    expect(itemsOf(config, preference, encoder).items).toMatchObject([{ completion: { text: 'b' } }]);
    expect(() => itemsOf(config, detectFormat([{ prompt: 'a' }]), encoder)).toThrow(
      'expected data to make given completions of',
    );
  });
});

it('prompts keep the columns by which they are told apart', () => {
  const sample = parseRunConfig({
    run: 'r',
    method: 'sample',
    epochs: 1,
    model: 'm',
    prompts: 'd',
    testFraction: 0,
    promptWords: 1,
  });
  for (const row of [{ prompt: 'a', completion: 'x' }, { text: 'a b c' }, { prompt: 'a' }]) {
    const dataset = detectFormat([{ ...row, language: 'de' }], { keep: ['language'] });
    expect(itemsOf(sample, dataset, encoder).items).toMatchObject([
      { text: 'a', metadata: { language: 'de' } },
    ]);
  }
  const { items } = itemsOf(sample, detectFormat([question]), encoder);
  expect(items).toMatchObject([{ text: 'Why?', metadata: { language: 'en' } }]);
});

it('the sets that come with evaluations are there, and their answers stand in every place', async () => {
  const kinds = await Promise.all(
    ['everyday', 'misconceptions', 'pairs'].map(async (set) => {
      parseRunConfig({ ...run, data: `bundled:${set}` });
      const { kind, rows } = await loadDataset(bundledSet(set));
      expect(rows.length).toBeGreaterThanOrEqual(30);
      if (kind === 'question') {
        const best = new Set(rows.map(({ ranks }) => ranks.indexOf(1)));
        expect(best.size).toBeGreaterThan(1);
      }
      return [set, kind];
    }),
  );
  expect(kinds).toEqual([
    ['everyday', 'question'],
    ['misconceptions', 'question'],
    ['pairs', 'sentences'],
  ]);
});
