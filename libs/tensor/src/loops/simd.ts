/** The loops as WebAssembly over a memory that threads share, four numbers at a time. */
import {
  assemble,
  f32x4,
  f64Add,
  f64x2,
  i32Add,
  load,
  named,
  store,
  upperHalf,
  whileBelow,
} from './assembler.js';
import { type AdamWSpans, addSquares, type Loops, plainLoops, type Span } from './loops.js';
import './webassembly.js';

const BYTES = 16;

const add = named({ to: 'i32', from: 'i32', end: 'i32' }, {}, (get, set) =>
  whileBelow(get.to, get.end, [
    ...store(get.to, f32x4.add(load(get.to), load(get.from))),
    ...set.to(i32Add(get.to, BYTES)),
    ...set.from(i32Add(get.from, BYTES)),
  ]),
);

const addToZero = named({ to: 'i32', from: 'i32', end: 'i32' }, { zero: 'v128' }, (get, set) =>
  whileBelow(get.to, get.end, [
    ...store(get.to, f32x4.add(get.zero, load(get.from))),
    ...set.to(i32Add(get.to, BYTES)),
    ...set.from(i32Add(get.from, BYTES)),
  ]),
);

// Four accumulators of two sums each: with a single one, each addition would wait for the one before it.
const squares = named(
  { at: 'i32', end: 'i32' },
  { x: 'v128', s01: 'v128', s23: 'v128', s45: 'v128', s67: 'v128' },
  (get, set) => {
    const square = (pair: readonly number[]) => f64x2.mul(pair, pair);
    const low = square(f64x2.promoteLow(get.x));
    const high = square(f64x2.promoteLow(upperHalf(get.x)));
    const sums = f64x2.add(f64x2.add(get.s01, get.s23), f64x2.add(get.s45, get.s67));
    return [
      ...whileBelow(get.at, get.end, [
        ...set.x(load(get.at)),
        ...set.s01(f64x2.add(get.s01, low)),
        ...set.s23(f64x2.add(get.s23, high)),
        ...set.x(load(get.at, BYTES)),
        ...set.s45(f64x2.add(get.s45, low)),
        ...set.s67(f64x2.add(get.s67, high)),
        ...set.at(i32Add(get.at, 2 * BYTES)),
      ]),
      ...f64Add(f64x2.lane(sums, 0), f64x2.lane(sums, 1)),
    ];
  },
  'f64',
);

const adamW = named(
  {
    p: 'i32',
    g: 'i32',
    m: 'i32',
    v: 'i32',
    end: 'i32',
    gradScale: 'f32',
    beta1: 'f32',
    oneMinusBeta1: 'f32',
    beta2: 'f32',
    oneMinusBeta2: 'f32',
    biasCorrection2: 'f32',
    eps: 'f32',
    step: 'f32',
    keep: 'f32',
  },
  { grad: 'v128', newM: 'v128', newV: 'v128' },
  (get, set) => {
    const times = (scalar: readonly number[], value: readonly number[]) =>
      f32x4.mul(f32x4.splat(scalar), value);
    const denominator = f32x4.add(
      f32x4.sqrt(f32x4.div(get.newV, f32x4.splat(get.biasCorrection2))),
      f32x4.splat(get.eps),
    );
    return whileBelow(get.p, get.end, [
      ...set.grad(times(get.gradScale, load(get.g))),
      ...set.newM(f32x4.add(times(get.beta1, load(get.m)), times(get.oneMinusBeta1, get.grad))),
      ...set.newV(
        f32x4.add(times(get.beta2, load(get.v)), times(get.oneMinusBeta2, f32x4.mul(get.grad, get.grad))),
      ),
      ...store(get.m, get.newM),
      ...store(get.v, get.newV),
      ...store(
        get.p,
        f32x4.sub(times(get.keep, load(get.p)), f32x4.div(times(get.step, get.newM), denominator)),
      ),
      ...set.p(i32Add(get.p, BYTES)),
      ...set.g(i32Add(get.g, BYTES)),
      ...set.m(i32Add(get.m, BYTES)),
      ...set.v(i32Add(get.v, BYTES)),
    ]);
  },
);

/**
 * @param memory shared, of the given `maximum` of pages; may have grown since it was made
 */
export function simdLoops(memory: WebAssembly.Memory, maximum: number): Loops {
  const module = assemble({ add, addToZero, squares, adamW }, { initial: 1, maximum });
  const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as {
    add(to: number, from: number, end: number): void;
    addToZero(to: number, from: number, end: number): void;
    squares(at: number, end: number): number;
    adamW(p: number, g: number, m: number, v: number, end: number, ...scalars: number[]): void;
  };
  const addWith =
    (kernel: (to: number, from: number, end: number) => void, plain: Loops['add']): Loops['add'] =>
    (to, from) => {
      const [at, source] = [addressOf(to), addressOf(from)];
      if (at === undefined || source === undefined) return plain(to, from);
      const fours = to.view.length & ~3;
      kernel(at, source, at + fours * 4);
      plain({ view: to.view.subarray(fours) }, { view: from.view.subarray(fours) });
    };
  return {
    add: addWith(exports.add, plainLoops.add),
    addToZero: addWith(exports.addToZero, plainLoops.addToZero),
    squares(x, begin, end) {
      const at = addressOf(x);
      if (at === undefined) return plainLoops.squares(x, begin, end);
      const eights = begin + ((end - begin) & ~7);
      return addSquares(exports.squares(at + begin * 4, at + eights * 4), x.view, eights, end);
    },
    adamW(spans, scalars, begin, end) {
      const at = addressesOf(spans);
      if (!at) return plainLoops.adamW(spans, scalars, begin, end);
      const fours = begin + ((end - begin) & ~3);
      const [p, g, m, v] = at.map((address) => address + begin * 4) as [number, number, number, number];
      const { gradScale, beta1, oneMinusBeta1, beta2, oneMinusBeta2, biasCorrection2, eps, step, keep } =
        scalars;
      exports.adamW(
        ...[p, g, m, v, at[0]! + fours * 4],
        ...[gradScale, beta1, oneMinusBeta1, beta2, oneMinusBeta2, biasCorrection2, eps, step, keep],
      );
      plainLoops.adamW(spans, scalars, fours, end);
    },
  };
}

const addressOf = ({ view, address }: Span): number | undefined =>
  view instanceof Float32Array ? address : undefined;

function addressesOf({ p, g, m, v }: AdamWSpans): number[] | undefined {
  const addresses = [p, g, m, v].map(addressOf);
  return addresses.includes(undefined) ? undefined : (addresses as number[]);
}
