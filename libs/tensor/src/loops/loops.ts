/** The loops over tensors of the state that surround a program, on the host. */
import type { TypedBuffer } from '../engine.js';

/** Numbers in host memory, and where they lie in the WebAssembly memory, when they do: a multiple of 16. */
export interface Span<T extends TypedBuffer = TypedBuffer> {
  readonly view: T;
  readonly address?: number;
}

/** Scalars of a step of AdamW, all float32. */
export interface AdamWScalars {
  readonly gradScale: number;
  readonly beta1: number;
  readonly oneMinusBeta1: number;
  readonly beta2: number;
  readonly oneMinusBeta2: number;
  readonly biasCorrection2: number;
  readonly eps: number;
  /** lr / biasCorrection1 */
  readonly step: number;
  /** 1 - lr weightDecay */
  readonly keep: number;
}

/** p, g, m and v of one length. */
export type AdamWSpans = { readonly [Name in 'p' | 'g' | 'm' | 'v']: Span<Float32Array> };

/** All loops give the same bits in every implementation. `begin` and `end` count numbers; `begin` is a multiple of 4. */
export interface Loops {
  /** to += from */
  add(to: Span, from: Span): void;
  /** to = 0 + from: what `add` gives where `to` is 0, which turns -0 into 0. */
  addToZero(to: Span, from: Span): void;
  /**
   * The sum of squares from `begin` to `end` in float64: eight sums, number i in sum i mod 8, added as
   * ((0 + 2) + (4 + 6)) + ((1 + 3) + (5 + 7)), and then the numbers that make no eight, in their order.
   */
  squares(x: Span<Float32Array>, begin: number, end: number): number;
  /** A step of AdamW in place, each operation rounded to float32. */
  adamW(spans: AdamWSpans, scalars: AdamWScalars, begin: number, end: number): void;
}

const { fround } = Math;

/** The oracle of the vectorised loops, and what runs where there is no WebAssembly memory. */
export const plainLoops: Loops = {
  add({ view: to }, { view: from }) {
    for (let i = 0; i < to.length; i++) to[i]! += from[i]!;
  },
  addToZero({ view: to }, { view: from }) {
    for (let i = 0; i < to.length; i++) to[i] = 0 + from[i]!;
  },
  squares: ({ view }, begin, end) => squares(view, begin, end),
  adamW({ p, g, m, v }, scalars, begin, end) {
    adamW(p.view, g.view, m.view, v.view, scalars, begin, end);
  },
};

function squares(x: Float32Array, begin: number, end: number): number {
  const eights = begin + ((end - begin) & ~7);
  let [s0, s1, s2, s3, s4, s5, s6, s7] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let i = begin; i < eights; i += 8) {
    s0 += x[i]! * x[i]!;
    s1 += x[i + 1]! * x[i + 1]!;
    s2 += x[i + 2]! * x[i + 2]!;
    s3 += x[i + 3]! * x[i + 3]!;
    s4 += x[i + 4]! * x[i + 4]!;
    s5 += x[i + 5]! * x[i + 5]!;
    s6 += x[i + 6]! * x[i + 6]!;
    s7 += x[i + 7]! * x[i + 7]!;
  }
  return addSquares(s0 + s2 + (s4 + s6) + (s1 + s3 + (s5 + s7)), x, eights, end);
}

export function addSquares(sum: number, x: Float32Array, begin: number, end: number): number {
  let total = sum;
  for (let i = begin; i < end; i++) total += x[i]! * x[i]!;
  return total;
}

function adamW(
  p: Float32Array,
  g: Float32Array,
  m: Float32Array,
  v: Float32Array,
  s: AdamWScalars,
  begin: number,
  end: number,
): void {
  const { gradScale, beta1, oneMinusBeta1, beta2, oneMinusBeta2, biasCorrection2, eps, step, keep } = s;
  for (let i = begin; i < end; i++) {
    const grad = fround(g[i]! * gradScale);
    const newM = fround(fround(beta1 * m[i]!) + fround(oneMinusBeta1 * grad));
    const newV = fround(fround(beta2 * v[i]!) + fround(oneMinusBeta2 * fround(grad * grad)));
    const denominator = fround(fround(Math.sqrt(fround(newV / biasCorrection2))) + eps);
    m[i] = newM;
    v[i] = newV;
    p[i] = fround(p[i]! * keep) - fround(fround(step * newM) / denominator);
  }
}
