import { type Item, type Joined, joined } from '@rlhf-streams/runs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { episodeItem } from '../tiny.test.support.js';
import { compareSamples } from './rank.js';

type Episode = Joined<'rollout' | 'reward'>;
const episode = (prompt: number, sample: number, score: number): Episode => {
  const sequence = { promptTokens: [prompt], tokens: [prompt, sample] };
  const item: Item = episodeItem(`tiny/0/${prompt}/${sample}`, sequence, {
    logprobs: [-1, -1],
    reference: [-1, -1],
    score,
  });
  return joined([item], 'rollout', 'reward')[0]!;
};

const comparisonsOf = (of: readonly Episode[]) => compareSamples(of).map(({ comparison }) => comparison);

const scores = fc.array(fc.array(fc.integer({ min: -3, max: 3 }), { maxLength: 5 }), { maxLength: 4 });
const episodes = (byPrompt: readonly (readonly number[])[]) =>
  byPrompt.flatMap((scores, prompt) => scores.map((score, sample) => episode(prompt, sample, score)));

describe('samples that are compared', () => {
  it('makes one comparison of the samples of each prompt, none of a lone sample', () => {
    fc.assert(
      fc.property(scores, (byPrompt) => {
        const comparisons = comparisonsOf(episodes(byPrompt));
        const expected = byPrompt.flatMap((scores, prompt) =>
          scores.length > 1 ? [{ prompt, scores }] : [],
        );
        expect(comparisons.map(({ comparison }) => comparison)).toEqual(
          expected.map(({ prompt }) => `tiny/0/${prompt}`),
        );
        comparisons.forEach(({ completions, promptTokens }, i) => {
          const { prompt, scores } = expected[i]!;
          expect(promptTokens).toEqual([prompt]);
          expect(completions.map(({ score }) => score)).toEqual(scores);
          expect(completions.map(({ tokens }) => tokens)).toEqual(
            scores.map((_, sample) => [prompt, sample]),
          );
        });
      }),
    );
  });

  it('ranks by score: 1 is the best, equal scores are ties, and a rank counts those above', () => {
    fc.assert(
      fc.property(scores, (byPrompt) => {
        for (const { completions, ranks } of comparisonsOf(episodes(byPrompt))) {
          expect(Math.min(...ranks)).toBe(1);
          ranks.forEach((rank, i) => {
            ranks.forEach((other, j) => {
              expect(Math.sign(rank - other)).toBe(
                Math.sign(completions[j]!.score! - completions[i]!.score!) + 0,
              );
            });
            expect(rank).toBe(1 + ranks.filter((other) => other < rank).length);
          });
        }
      }),
    );
  });

  it('says who ranked: the first scorer', () => {
    expect(comparisonsOf([episode(0, 0, 1), episode(0, 1, 2)])[0]).toMatchObject({
      labeler: 'test',
      split: 'train',
      ranks: [2, 1],
    });
  });
});
