import type { Item } from '@rlhf-streams/runs';
import { expect, it } from 'vitest';
import { tokensOf } from './tokens.js';

it('counts every sequence with its prompt, and what a policy sampled', () => {
  const items = [
    { id: 'a', demonstration: { promptTokens: [1], tokens: [2, 3] } },
    { id: 'b', comparison: { promptTokens: [1, 2], completions: [{ tokens: [3] }, { tokens: [4, 5] }] } },
    { id: 'c', rollout: { promptTokens: [1, 2, 3], tokens: [4, 5] } },
    { id: 'd', thumb: { promptTokens: [1], tokens: [2, 3, 4], mismatched: [5, 6] } },
  ] as unknown as Item[];
  expect(tokensOf(items)).toEqual({ 'tokens/trained': 3 + 7 + 5 + 4, 'tokens/generated': 2 });
  expect(tokensOf([])).toEqual({ 'tokens/trained': 0, 'tokens/generated': 0 });
});
