/** Stored numbers as float32, the type that models are computed in. */
import { open } from 'node:fs/promises';
import type { WeightTensor } from '../weights.js';
import { readBytes } from './read-bytes.js';

/** A tensor in a file. */
export interface StoredTensor {
  readonly file: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Where its numbers begin and end in the file, in bytes. */
  readonly begin: number;
  readonly end: number;
}

/** Bytes of a number, by the dtypes that weights may be stored in. */
export const WEIGHT_BYTES: ReadonlyMap<string, number> = new Map([
  ['F32', 4],
  ['F16', 2],
  ['BF16', 2],
  ['F64', 8],
]);

/** Numbers that are read at a time. */
const CHUNK = 2 ** 18;

/**
 * The numbers of a tensor in their order, a chunk at a time: a tensor of any size takes a few megabytes. A chunk is
 * overwritten by the next.
 * @throws MODEL_SAFETENSORS_TRUNCATED where the file ends early; errors of the file system as they are
 */
export async function* decodedChunks({
  file,
  dtype,
  begin,
  end,
}: StoredTensor): AsyncGenerator<Float32Array<ArrayBuffer>> {
  const width = WEIGHT_BYTES.get(dtype)!;
  const numbers = new Float32Array(Math.min(CHUNK, (end - begin) / width));
  const bytes = new Uint8Array(numbers.length * width);
  const handle = await open(file, 'r');
  try {
    for (let at = begin; at < end; at += bytes.length) {
      const read = await readBytes(handle, at, bytes.subarray(0, end - at), file);
      const decoded = numbers.subarray(0, read.length / width);
      decode(dtype, read, decoded);
      yield decoded;
    }
  } finally {
    await handle.close();
  }
}

/** All numbers of a tensor. @throws as {@link decodedChunks} */
export async function decodedTensor(tensor: StoredTensor): Promise<WeightTensor> {
  const { shape } = tensor;
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
  let from = 0;
  for await (const numbers of decodedChunks(tensor)) {
    data.set(numbers, from);
    from += numbers.length;
  }
  return { shape, data };
}

/** @param bytes little-endian, of a dtype of {@link WEIGHT_BYTES}, aligned to its numbers */
export function decode(dtype: string, bytes: Uint8Array<ArrayBuffer>, numbers: Float32Array): void {
  const { buffer, byteOffset } = bytes;
  const { length } = numbers;
  if (dtype === 'F64') numbers.set(new Float64Array(buffer, byteOffset, length));
  else if (dtype === 'F32') numbers.set(new Float32Array(buffer, byteOffset, length));
  else {
    const halves = new Uint16Array(buffer, byteOffset, length);
    const bits = new Int32Array(numbers.buffer, numbers.byteOffset, length);
    if (dtype === 'BF16') for (let i = 0; i < length; i++) bits[i] = halves[i]! << 16;
    else for (let i = 0, table = float16Table(); i < length; i++) bits[i] = table[halves[i]!]!;
  }
}

let float16: Int32Array | undefined;

/** The bits in binary32 of every value of binary16. */
function float16Table(): Int32Array {
  float16 ??= Int32Array.from({ length: 2 ** 16 }, (_, half) => float16Bits(half));
  return float16;
}

/** IEEE 754 binary16 to the bits of the same value in binary32. */
function float16Bits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // A subnormal half is fraction * 2^-24, a normal number in binary32.
  const leading = 31 - Math.clz32(fraction);
  return sign | ((leading + 103) << 23) | ((fraction << (23 - leading)) & 0x7fffff);
}
