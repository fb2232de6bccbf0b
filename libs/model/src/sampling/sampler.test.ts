import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { uniform } from './rollout-draws.js';
import {
  givenToken,
  type NextToken,
  type SamplingOptions,
  sampleToken,
  softmaxTemperature,
} from './sampler.js';

function softmax(logits: ArrayLike<number>, temperature: number): number[] {
  const max = Math.max(...Array.from(logits));
  const weights = Array.from(logits, (logit) => Math.exp((logit - max) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** A row as a program computes it. */
const nextOf = (logits: Float32Array, sampling: SamplingOptions): NextToken => ({
  logits,
  probabilities: Float32Array.from(softmax(logits, softmaxTemperature(sampling))),
});
const sample = (logits: Float32Array, sampling: SamplingOptions, u: number) =>
  sampleToken(nextOf(logits, sampling), sampling, u);

/** Top-k, then top-p among what is left, then renormalised: by definition, over sorted lists. */
function distribution(
  { probabilities }: NextToken,
  { topK, topP = 1 }: Pick<SamplingOptions, 'topK' | 'topP'>,
): number[] {
  const weights = Array.from(probabilities);
  const sum = (tokens: number[]) => tokens.reduce((total, token) => total + weights[token]!, 0);
  const ranked = [...weights.keys()].sort((a, b) => weights[b]! - weights[a]! || a - b);
  const best = ranked.slice(0, topK || weights.length);
  const enough = best.findIndex((_, i) => sum(best.slice(0, i + 1)) >= topP * sum(best));
  const kept = topP < 1 ? best.slice(0, enough + 1) : best;
  return weights.map((weight, token) => (kept.includes(token) ? weight / sum(kept) : 0));
}

const row = fc.array(fc.integer({ min: -60, max: 60 }), { minLength: 1, maxLength: 40 }).map((values) =>
  // Eighths make ties common.
  Float32Array.from(values, (value) => value / 8),
);
const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const temperature = fc.double({ min: 0.05, max: 5, noNaN: true });
const code = (expected: string) => expect.objectContaining({ code: expected });

describe('sampleToken', () => {
  it('inverts the cumulative distribution that top-k and top-p leave', () => {
    const options = fc.record(
      {
        temperature,
        topK: fc.integer({ min: 0, max: 45 }),
        topP: fc.double({ min: 0.01, max: 1, noNaN: true }),
      },
      { requiredKeys: ['temperature'] },
    );
    fc.assert(
      fc.property(row, options, draw, (logits, sampling, u) => {
        const next = nextOf(logits, sampling);
        const expected = distribution(next, sampling);
        const { token } = sampleToken(next, sampling, u);
        const below = expected.slice(0, token).reduce((sum, p) => sum + p, 0);
        expect(expected[token]).toBeGreaterThan(0);
        expect(u).toBeGreaterThan(below - 1e-12);
        expect(u).toBeLessThan(below + expected[token]! + 1e-12);
      }),
      { numRuns: 1000 },
    );
  });

  it('reports the log-prob under the whole softmax, whatever top-k and top-p', () => {
    fc.assert(
      fc.property(row, temperature, draw, (logits, temperature, u) => {
        for (const limits of [{}, { topK: 2 }, { topP: 0.5 }]) {
          const { token, logprob } = sample(logits, { temperature, ...limits }, u);
          expect(logprob).toBeCloseTo(Math.log(softmax(logits, temperature)[token]!), 6);
          expect(givenToken(nextOf(logits, { temperature }), token, { temperature })).toEqual({
            token,
            logprob,
          });
        }
      }),
    );
  });

  it('draws each token as often as it is probable', () => {
    const logits = Float32Array.of(0.3, -1, 2, 0.3, 1, -4, 0);
    const draws = 20_000;
    for (const sampling of [{ temperature: 0.7 }, { temperature: 1.5, topK: 5, topP: 0.9 }]) {
      const next = nextOf(logits, sampling);
      const counts = new Array<number>(logits.length).fill(0);
      for (let i = 0; i < draws; i++) counts[sampleToken(next, sampling, uniform([3, 4], i)).token]!++;
      const expected = distribution(next, sampling);
      const chiSquare = expected.reduce((sum, p, token) => {
        if (p === 0) expect(counts[token]).toBe(0);
        return p === 0 ? sum : sum + (counts[token]! - p * draws) ** 2 / (p * draws);
      }, 0);
      // At most 6 degrees of freedom: 22.5 is exceeded once in a thousand keys; this key is fixed.
      expect(chiSquare).toBeLessThan(22.5);
    }
  });

  it('takes the likeliest token at temperature 0, with its log-prob at temperature 1', () => {
    const logits = Float32Array.of(1, 3, 3, -2);
    expect(sample(logits, { temperature: 0 }, 0.99)).toEqual({
      token: 1,
      logprob: expect.closeTo(Math.log(softmax(logits, 1)[1]!), 6),
    });
    expect(sample(logits, { temperature: 1, topK: 1 }, 0.99).token).toBe(1);
    expect(sample(logits, { temperature: 1, topP: 1e-9 }, 0.99).token).toBe(1);
    expect(sample(logits, { temperature: 1e-300 }, 0.999).token).toBe(2);
  });

  it('stands logits that would overflow exp', () => {
    const { token, logprob } = sample(Float32Array.of(3e38, -3e38, 3e38), { temperature: 0.1 }, 0.75);
    expect([token, logprob]).toEqual([2, Math.log(0.5)]);
  });

  it('tells the log-prob of a given token whose probability is no float32', () => {
    const logits = Float32Array.of(0, -200);
    const { logprob } = givenToken(nextOf(logits, { temperature: 0.5 }), 1, { temperature: 0.5 });
    expect(logprob).toBeCloseTo(-400, 9);
  });

  it('depends on nothing but its arguments', () => {
    const sampling = { temperature: 1, topP: 0.9 };
    const next = nextOf(
      Float32Array.from({ length: 64 }, (_, i) => Math.sin(i)),
      sampling,
    );
    const alone = sampleToken(next, sampling, 0.37);
    sample(new Float32Array(512).fill(3), { temperature: 0.5, topK: 9 }, 0.9);
    const within = (row: Float32Array) =>
      Float32Array.from([...new Float32Array(64).fill(7), ...row, ...row]).subarray(64, 128);
    const inBatch = { logits: within(next.logits!), probabilities: within(next.probabilities) };
    expect(sampleToken(inBatch, sampling, 0.37)).toEqual(alone);
    expect(inBatch).toEqual(next);
  });

  it.each([Number.NaN, Infinity])('refuses a logit of %d', (value) => {
    const next = {
      logits: Float32Array.of(0, 1, value),
      probabilities: new Float32Array(3).fill(Number.NaN),
    };
    expect(() => sampleToken(next, { temperature: 1 }, 0.5)).toThrow(code('MODEL_LOGITS_NOT_FINITE'));
    expect(() => sampleToken(next, { temperature: 0 }, 0.5)).toThrow(/token 2/);
  });

  it.each([0, 2 ** 21 + 1])('refuses a row of %d logits', (size) => {
    expect(() =>
      sampleToken(
        { logits: new Float32Array(size), probabilities: new Float32Array(size) },
        { temperature: 1 },
        0.5,
      ),
    ).toThrow(code('MODEL_LOGITS_SIZE'));
  });

  it.each<[SamplingOptions, number]>([
    [{ temperature: -1 }, 0.5],
    [{ temperature: Number.NaN }, 0.5],
    [{ temperature: Infinity }, 0.5],
    [{ temperature: 1, topK: -1 }, 0.5],
    [{ temperature: 1, topK: 1.5 }, 0.5],
    [{ temperature: 1, topP: 0 }, 0.5],
    [{ temperature: 1, topP: 1.1 }, 0.5],
    [{ temperature: 1 }, 1],
    [{ temperature: 1 }, Number.NaN],
  ])('refuses %j with draw %d', (options, u) => {
    expect(() => sample(Float32Array.of(0, 1), options, u)).toThrow(code('MODEL_SAMPLING_OPTIONS'));
  });
});
