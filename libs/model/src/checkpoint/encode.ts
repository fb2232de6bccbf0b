/** float32 as the numbers of 16 bits that checkpoints are stored in, rounded to the nearest, ties to even. */

/** Numbers of 16 bits. */
export interface Halves {
  readonly dtype: 'F16' | 'BF16';
  readonly data: Uint16Array<ArrayBuffer>;
}

/** @returns undefined where a finite number is beyond the largest one of the dtype */
export function toHalves(
  numbers: Float32Array,
  dtype: Halves['dtype'],
): Uint16Array<ArrayBuffer> | undefined {
  const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
  const infinity = dtype === 'F16' ? 0x7c00 : 0x7f80;
  const halves = new Uint16Array(numbers.length);
  for (let i = 0; i < halves.length; i++) {
    const half = dtype === 'F16' ? float16(bits[i]!, numbers[i]!) : bfloat16(bits[i]!);
    if ((half & 0x7fff) === infinity && Number.isFinite(numbers[i]!)) return undefined;
    halves[i] = half;
  }
  return halves;
}

function bfloat16(bits: number): number {
  const isNoNumber = (bits & 0x7fffffff) > 0x7f800000;
  // A NaN whose upper bits are those of infinity stays one.
  return isNoNumber ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function float16(bits: number, number: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520 lies half-way between the largest number and what would be the next.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000)
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  // Below 2^-14 are multiples of 2^-24.
  const multiple = Math.abs(number) * 2 ** 24;
  const below = Math.floor(multiple);
  const isAbove = multiple - below > 0.5 || (multiple - below === 0.5 && below % 2 === 1);
  return sign | (isAbove ? below + 1 : below);
}
