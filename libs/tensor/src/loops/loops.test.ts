import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AdamWScalars, type Loops, plainLoops, type Span } from './loops.js';
import { simdLoops } from './simd.js';
import { PAGE_BYTES } from './webassembly.js';

const MAXIMUM = 8;
const memory = new WebAssembly.Memory({ initial: 4, maximum: MAXIMUM, shared: true });
const loops = simdLoops(memory, MAXIMUM);
const PLACES = 4;
const ROOM = (4 * PAGE_BYTES) / PLACES / 4;

/** The numbers, in private memory and at a place of the WebAssembly memory. */
function spans(
  place: number,
  numbers: Float32Array,
): { plain: Span<Float32Array>; simd: Span<Float32Array> } {
  const address = place * ROOM * 4;
  const view = new Float32Array(memory.buffer, address, numbers.length);
  view.set(numbers);
  return { plain: { view: numbers.slice() }, simd: { view, address } };
}
const bits = ({ view }: Span) => [...new Uint32Array(view.slice().buffer)];

const vectors = (count: number, max = 67) =>
  fc
    .integer({ min: 0, max })
    .chain((length) =>
      fc.tuple(
        ...Array.from({ length: count }, () =>
          fc.float32Array({ noNaN: true, minLength: length, maxLength: length }),
        ),
      ),
    );
const positive = fc.float({ min: Math.fround(1e-8), max: 2, noNaN: true });

describe('the vectorised loops give the bits of the plain ones', () => {
  it.each(['add', 'addToZero'] as const)('%s', (name) => {
    fc.assert(
      fc.property(vectors(2), ([a, b]) => {
        const [to, from] = [spans(0, a!), spans(1, b!)];
        plainLoops[name](to.plain, from.plain);
        loops[name](to.simd, from.simd);
        expect(bits(to.simd).map(sameNaN)).toEqual(bits(to.plain).map(sameNaN));
        expect(bits(from.simd)).toEqual(bits(from.plain));
      }),
    );
  });

  it('squares', () => {
    fc.assert(
      fc.property(vectors(1, 400), fc.nat(20), ([a], fours) => {
        const x = spans(0, a!);
        const begin = Math.min(4 * fours, a!.length & ~3);
        expect(loops.squares(x.simd, begin, a!.length)).toBe(plainLoops.squares(x.plain, begin, a!.length));
      }),
    );
  });

  it('adamW', () => {
    const scalars: fc.Arbitrary<AdamWScalars> = fc.record({
      gradScale: positive,
      beta1: positive,
      oneMinusBeta1: positive,
      beta2: positive,
      oneMinusBeta2: positive,
      biasCorrection2: positive,
      eps: positive,
      step: positive,
      keep: fc.oneof(fc.constant(1), positive),
    });
    const moderate = fc.float({ min: -100, max: 100, noNaN: true });
    const numbers = fc.integer({ min: 0, max: 67 }).chain((length) => {
      const vector = (each: fc.Arbitrary<number>) =>
        fc.array(each, { minLength: length, maxLength: length }).map((x) => Float32Array.from(x));
      return fc.record({
        p: vector(moderate),
        g: vector(moderate),
        m: vector(moderate),
        v: vector(fc.float({ min: 0, max: 100, noNaN: true })),
      });
    });
    fc.assert(
      fc.property(numbers, scalars, ({ p, g, m, v }, values) => {
        const all = [p, g, m, v].map((x, place) => spans(place, x));
        const run = (loops: Loops, kind: 'plain' | 'simd') => {
          const [p, g, m, v] = all.map((span) => span[kind]);
          loops.adamW({ p: p!, g: g!, m: m!, v: v! }, values, 0, p!.view.length);
        };
        run(plainLoops, 'plain');
        run(loops, 'simd');
        for (const { plain, simd } of all) expect(bits(simd)).toEqual(bits(plain));
      }),
    );
  });

  it('where a vector has no address', () => {
    fc.assert(
      fc.property(vectors(1), ([a]) => {
        const x = spans(0, a!);
        const elsewhere = { view: x.plain.view.slice() };
        loops.add(elsewhere, x.simd);
        plainLoops.add(x.plain, { view: x.simd.view.slice() });
        expect(bits(elsewhere)).toEqual(bits(x.plain));
      }),
    );
  });
});

/** Which NaN comes of infinities is left open. */
const sameNaN = (word: number) => ((word & 0x7fffffff) > 0x7f800000 ? 'NaN' : word);
