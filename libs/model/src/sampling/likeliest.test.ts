import fc from 'fast-check';
import { expect, it } from 'vitest';
import { tokenLogprobs } from './likeliest.js';

const row = fc
  .array(fc.float({ min: -30, max: 30, noNaN: true }), { minLength: 1, maxLength: 60 })
  .map((logits) => Float32Array.from(logits));

it('is the log-softmax of the row, of the token and of the likeliest in their order', () => {
  fc.assert(
    fc.property(row, fc.nat(), fc.nat({ max: 5 }), (logits, nth, count) => {
      const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
      const expected = Array.from(logits, (logit) => Math.log(Math.exp(logit) / total));
      const token = nth % logits.length;
      const { logprob, likeliest } = tokenLogprobs(logits, token, count);
      expect(logprob).toBeCloseTo(expected[token]!, 9);
      const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
      expect(likeliest.map(({ token }) => token)).toEqual(order.slice(0, count));
      for (const { token, logprob } of likeliest) expect(logprob).toBeCloseTo(expected[token]!, 9);
    }),
  );
});

it('holds for logits whose exponential is no float', () => {
  const { logprob, likeliest } = tokenLogprobs(Float32Array.of(2000, 2000, -2000), 1, 1);
  expect(logprob).toBeCloseTo(Math.log(0.5), 12);
  expect(likeliest).toEqual([{ token: 0, logprob }]);
});
