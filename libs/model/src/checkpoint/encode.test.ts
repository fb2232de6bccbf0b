import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode } from './decode.js';
import { type Halves, toHalves } from './encode.js';

const decoded = (halves: Uint16Array<ArrayBuffer>, dtype: Halves['dtype']) => {
  const numbers = new Float32Array(halves.length);
  decode(dtype, new Uint8Array(halves.buffer), numbers);
  return numbers;
};

describe.each(['F16', 'BF16'] as const)('%s', (dtype) => {
  /** Every number of the dtype, in the order of their bits. */
  const all = decoded(
    Uint16Array.from({ length: 2 ** 16 }, (_, i) => i),
    dtype,
  );
  const infinity = dtype === 'F16' ? 0x7c00 : 0x7f80;

  it('gives back every number that it has', () => {
    const halves = toHalves(all, dtype)!;
    for (let i = 0; i < all.length; i++)
      if (Number.isNaN(all[i])) expect(decoded(halves.subarray(i, i + 1).slice(), dtype)[0]).toBeNaN();
      else if (halves[i] !== i) throw new Error(`${all[i]} is not kept`);
  });

  it('rounds to the nearest, ties to even', () => {
    for (let i = 0; i < infinity - 1; i++) {
      const [low, high] = [all[i]!, all[i + 1]!];
      const middle = Math.fround((low + high) / 2);
      const near = Float32Array.of(middle, -middle, middle - (high - low) / 8, middle + (high - low) / 8);
      const even = i % 2 === 0 ? i : i + 1;
      const halves = toHalves(near, dtype)!;
      // Half of the least numbers of bfloat16 is no float32.
      if (middle !== (low + high) / 2) continue;
      if (halves[0] !== even || halves[1] !== even + 0x8000) throw new Error(`the middle above ${low}`);
      if (near[2] !== near[0] && halves[2] !== i) throw new Error(`below the middle above ${low}`);
      if (near[3] !== near[0] && halves[3] !== i + 1) throw new Error(`above the middle above ${low}`);
    }
  });

  it('has no number for what is too large', () => {
    const largest = all[infinity - 1]!;
    const step = largest - all[infinity - 2]!;
    expect(toHalves(Float32Array.of(largest + step / 4), dtype)).toEqual(Uint16Array.of(infinity - 1));
    expect(toHalves(Float32Array.of(1, -(largest + step / 2)), dtype)).toBeUndefined();
    expect(toHalves(Float32Array.of(3.4e38), dtype)).toBeUndefined();
    expect(toHalves(Float32Array.of(Number.POSITIVE_INFINITY, Number.NaN), dtype)?.[0]).toBe(infinity);
  });

  it('is never further away than the next number', () => {
    fc.assert(
      fc.property(fc.float({ min: -60000, max: 60000, noNaN: true }), (number) => {
        const rounded = decoded(toHalves(Float32Array.of(number), dtype)!, dtype)[0]!;
        const [relative, least] = dtype === 'F16' ? [2 ** -11, 2 ** -25] : [2 ** -8, 2 ** -134];
        expect(Math.abs(rounded - number)).toBeLessThanOrEqual(Math.max(relative * Math.abs(number), least));
      }),
    );
  });
});
