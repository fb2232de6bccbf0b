import { cpuEngine, type Engine, float32, onnxEngine } from '@rlhf-streams/tensor';
import type * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { deviceDraw, deviceSettings, isLimited, SETTINGS, sampleOnDevice } from './on-device.js';
import {
  givenToken,
  type NextToken,
  type SamplingOptions,
  sampleToken,
  softmaxTemperature,
} from './sampler.js';

const [N, V] = [16, 40];
interface Row {
  readonly logits: readonly number[];
  readonly sampling: SamplingOptions;
  readonly u: number;
  readonly given?: number;
}

/** Samples rows together; what is left of the rows are zeros. */
async function samplerOn(engine: Engine) {
  const column = float32(N, 1);
  const space = await engine.open({});
  const program = (limited: boolean) => ({
    inputs: {
      logits: float32(N, V),
      draws: column,
      given: column,
      ...Object.fromEntries(SETTINGS.map((name) => [name, column])),
    },
    reads: [],
    run: (_: unknown, { logits, draws, given, ...settings }: Record<string, tf.Tensor>) => {
      const by = settings as Record<(typeof SETTINGS)[number], tf.Tensor>;
      const sampler = sampleOnDevice(logits as tf.Tensor2D, by, draws!, limited);
      const [logprobs, ofGiven] = [sampler.tokens, given as tf.Tensor2D].map(sampler.logprobsOf);
      return { outputs: { tokens: sampler.tokens, logprobs: logprobs!, ofGiven: ofGiven! } };
    },
  });
  await space.add({ plain: program(false), limited: program(true) });
  return async (rows: readonly Row[]) => {
    const filled = Array.from(
      { length: N },
      (_, i): Row => rows[i] ?? { logits: [0], sampling: { temperature: 1 }, u: 0 },
    );
    const settings = filled.map(({ sampling }) => deviceSettings(sampling));
    const feeds = {
      logits: Float32Array.from(filled.flatMap(({ logits }) => padded(logits))),
      draws: Float32Array.from(filled, ({ sampling, u }) => deviceDraw(sampling, u)),
      given: Float32Array.from(filled, ({ given = 0 }) => given),
      ...Object.fromEntries(
        SETTINGS.map((name) => [name, Float32Array.from(settings, (each) => each[name])]),
      ),
    };
    const name = settings.some(isLimited) ? 'limited' : 'plain';
    const { tokens, logprobs, ofGiven } = await space.run(name, feeds);
    return rows.map((_, i) => ({ token: tokens![i]!, logprob: logprobs![i]!, ofGiven: ofGiven![i]! }));
  };
}
const padded = (logits: readonly number[]) =>
  Array.from({ length: V }, (_, i) => logits[i] ?? Number.NEGATIVE_INFINITY);

/** A row as the host gets it. */
function nextOf({ logits, sampling }: Row): NextToken {
  const temperature = softmaxTemperature(sampling);
  const max = Math.max(...logits);
  const weights = padded(logits).map((logit) => Math.exp((logit - max) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return {
    logits: Float32Array.from(padded(logits)),
    probabilities: Float32Array.from(weights, (weight) => weight / total),
  };
}

const row: fc.Arbitrary<Row> = fc.record({
  // Eighths make ties common.
  logits: fc.array(
    fc.integer({ min: -60, max: 60 }).map((value) => value / 8),
    { minLength: 1, maxLength: V },
  ),
  sampling: fc.record(
    {
      temperature: fc.oneof(
        fc.constant(0),
        fc.constant(1e-300),
        fc.double({ min: 0.05, max: 5, noNaN: true }),
      ),
      topK: fc.integer({ min: 0, max: V + 5 }),
      topP: fc.double({ min: 0.01, max: 1, noNaN: true }),
    },
    { requiredKeys: ['temperature'] },
  ),
  u: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
});

const onnx = onnxEngine();
afterAll(() => onnx.close());

describe.each([
  ['cpu', cpuEngine()],
  ['onnx', onnx],
])('tokens drawn by a program of the %s engine', (_, engine) => {
  it('are those that the host draws, but at a boundary between two, and so are their log-probs', async () => {
    const sample = await samplerOn(engine);
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: N }), async (rows) => {
        const drawn = await sample(rows);
        drawn.forEach(({ token, logprob }, i) => {
          const each = rows[i]!;
          const next = nextOf(each);
          const at = (u: number) => sampleToken(next, each.sampling, Math.min(1 - 2 ** -53, Math.max(0, u)));
          // Sums of float32 numbers, and the draw itself, are rounded: what is drawn a little before and behind may be, too.
          const possible = [-1e-6, 0, 1e-6].map((by) => at(each.u + by).token);
          if (!isAtEdge(next, each)) expect(possible).toContain(token);
          expect(Math.abs(logprob - givenToken(next, token, each.sampling).logprob)).toBeLessThan(1e-5);
        });
      }),
      { numRuns: 100 },
    );
  });

  it('are of the kept ones, at the edges of a draw', async () => {
    const sample = await samplerOn(engine);
    const logits = [1, 3, 3, -2, 3];
    const of = async (sampling: SamplingOptions) =>
      (await sample([0, 1 - 2 ** -53].map((u) => ({ logits, sampling, u })))).map(({ token }) => token);
    expect(await of({ temperature: 0 })).toEqual([1, 1]);
    expect(await of({ temperature: 0, topK: 3, topP: 0.5 })).toEqual([1, 1]);
    expect(await of({ temperature: 1e-300 })).toEqual([1, 4]);
    expect(await of({ temperature: 1 })).toEqual([0, 4]);
    expect(await of({ temperature: 1, topK: 2 })).toEqual([1, 2]);
    expect(await of({ temperature: 1, topP: 1e-9 })).toEqual([1, 1]);
    expect(await of({ temperature: 1, topP: 0.7, topK: 4 })).toEqual([1, 4]);
  });

  it('have log-probs, and so have given ones whose probability is no float32', async () => {
    const sample = await samplerOn(engine);
    const [{ ofGiven } = { ofGiven: 0 }] = await sample([
      { logits: [0, -200], sampling: { temperature: 0.5 }, u: 0.5, given: 1 },
    ]);
    expect(ofGiven).toBeCloseTo(-400, 3);
  });

  it.each([Number.NaN, Infinity])('have none where a logit is %d', async (value) => {
    const sample = await samplerOn(engine);
    for (const sampling of [{ temperature: 1 }, { temperature: 0 }, { temperature: 1, topK: 2, topP: 0.5 }]) {
      const [bad, good] = await sample([
        { logits: [0, value, 1], sampling, u: 0.5 },
        { logits: [0, 1, 2], sampling, u: 0.5 },
      ]);
      expect(bad!.logprob).toBeNaN();
      expect(bad!.token).toBeLessThan(V);
      expect(good!.token).toBe(2);
    }
  });
});

it('a draw stays below 1', () => {
  const of = (u: number) => deviceDraw({ temperature: 1 }, u);
  expect(of(1 - 2 ** -53)).toBe(1 - 2 ** -24);
  expect(Math.fround(of(1 - 2 ** -53))).toBeLessThan(1);
  expect(of(0.5)).toBe(0.5);
});

/** Whether rounding decides how many tokens top-p keeps. */
function isAtEdge({ probabilities }: NextToken, { sampling: { topK, topP = 1 } }: Row): boolean {
  const ranked = [...probabilities].sort((a, b) => b - a).slice(0, topK || V);
  const mass = ranked.reduce((sum, p) => sum + p, 0);
  let kept = 0;
  return ranked.some((p) => {
    kept += p;
    return Math.abs(kept - topP * mass) < 1e-6;
  });
}
