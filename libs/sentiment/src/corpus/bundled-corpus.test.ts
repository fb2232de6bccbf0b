import { createHash } from 'node:crypto';
import { promptOf } from '@rlhf-streams/data';
import { describe, expect, it } from 'vitest';
import { bundledCorpus } from './bundled-corpus.js';
import { FILM, TOPICS } from './topics.js';

const corpus = bundledCorpus();
const wordsOf = (text: string) => text.toLowerCase().replace(/[.,]/g, '').split(' ');

describe('bundledCorpus', () => {
  it('is the same everywhere', () => {
    const digest = createHash('sha256')
      .update(JSON.stringify(bundledCorpus({ size: 1000 })))
      .digest('hex');
    expect(digest).toBe('37b78fa082dec0d92e82d85d1e7da99ce012311dceb35da4a062e2db642d473e');
  });

  it('makes row i from the seed and i alone', () => {
    expect(bundledCorpus({ size: 50 })).toEqual(corpus.slice(0, 50));
    expect(bundledCorpus({ size: 50, seed: 1 })).not.toEqual(corpus.slice(0, 50));
  });

  it('is large and varied enough to learn from: 12000 rows, half of them positive, 9 of 10 unique', () => {
    expect(corpus).toHaveLength(12_000);
    const positive = corpus.filter(({ label }) => label === 1).length / corpus.length;
    expect(Math.abs(positive - 0.5)).toBeLessThan(0.02);
    expect(new Set(corpus.map(({ text }) => text)).size).toBeGreaterThan(0.9 * corpus.length);
    const vocabulary = new Set(corpus.flatMap(({ text }) => wordsOf(text))).size;
    expect(vocabulary).toBeGreaterThan(400);
    expect(vocabulary).toBeLessThan(700);
  });

  it('writes sentences of 6 to 24 words with no slot left open', () => {
    for (const { text } of corpus) {
      expect(text).toMatch(/^[A-Z][A-Za-zé,' -]+\.$/);
      expect(text).not.toMatch(/ {2}|undefined|\ba [aeiou]|\ban (?!hour)[^aeiou]/i);
      const { length } = wordsOf(text);
      expect(length).toBeGreaterThanOrEqual(6);
      expect(length).toBeLessThanOrEqual(24);
    }
  });

  it('makes verbs agree with their subjects', () => {
    const plural = TOPICS.flatMap((topic) => topic.plural).join('|');
    const singular = [FILM, ...TOPICS].flatMap((topic) => topic.singular).join('|');
    const disagreement = new RegExp(
      `(?<!\\b(?:in|of) )\\b((${plural}) (is|was|has|makes)|(${singular}) (are|were|have|make))\\b`,
      'i',
    );
    expect(corpus.filter(({ text }) => disagreement.test(text))).toEqual([]);
  });

  it('leaves the sentiment open in the first three words', () => {
    const adjectives = new Set(
      [FILM, ...TOPICS].flatMap(({ good, bad }) => [...good.adjectives, ...bad.adjectives]),
    );
    const byPrompt = new Map<string, { rows: number; positive: number }>();
    for (const { text, label } of corpus) {
      const prompt = promptOf(text)!;
      expect(wordsOf(prompt).filter((word) => adjectives.has(word))).toEqual([]);
      const { rows, positive } = byPrompt.get(prompt) ?? { rows: 0, positive: 0 };
      byPrompt.set(prompt, { rows: rows + 1, positive: positive + label });
    }
    expect(byPrompt.size).toBeGreaterThan(200);
    for (const { rows, positive } of byPrompt.values()) {
      // 5 standard deviations of a fair coin: the prompt says nothing about the label.
      expect(Math.abs(positive - rows / 2)).toBeLessThanOrEqual(2.5 * Math.sqrt(rows) + 1);
    }
  });

  it('labels a mixed sentence by its weightier clause', () => {
    const mixed = corpus.filter(({ text }) => /^(Although|Even though|While) /.test(text));
    const verdicts = mixed.filter(({ text }) => text.endsWith('I loved the film all the same.'));
    const complaints = mixed.filter(({ text }) => text.endsWith('I was still bored.'));
    expect(mixed.length).toBeGreaterThan(500);
    expect(new Set(verdicts.map(({ label }) => label))).toEqual(new Set([1]));
    expect(new Set(complaints.map(({ label }) => label))).toEqual(new Set([0]));
  });

  it.each([0, -1, 1.5, 1e9])('refuses size %s', (size) => {
    expect(() => bundledCorpus({ size })).toThrow(expect.objectContaining({ code: 'DATA_ARGUMENT_INVALID' }));
  });
});
