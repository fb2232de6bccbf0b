/**
 * Reader and writer of the safetensors format: 8 bytes of header length (little-endian), a JSON header, then the
 * values of all tensors, row-major and little-endian, without holes.
 * @see https://github.com/huggingface/safetensors#format
 */
import type { FileHandle } from 'node:fs/promises';
import { withFile, writeFileAtomically } from '@rlhf-streams/files';
import { ModelError } from '../errors.js';
import {
  elementCount,
  headerLength,
  parseHeader,
  type SafetensorsEntry,
  type SafetensorsHeader,
} from './safetensors-header.js';

/** A tensor to write; its dtype is that of `data`, which holds the values row-major. */
export interface TensorData {
  shape: readonly number[];
  data: Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;
}

/** A tensor in memory: F16 and BF16 files come as F32, BOOL as U8. */
export type SafetensorsTensor = { shape: number[] } & (
  | { dtype: 'F32'; data: Float32Array<ArrayBuffer> }
  | { dtype: 'F64'; data: Float64Array<ArrayBuffer> }
  | { dtype: 'I32'; data: Int32Array<ArrayBuffer> }
  | { dtype: 'I64'; data: BigInt64Array<ArrayBuffer> }
  | { dtype: 'U8'; data: Uint8Array<ArrayBuffer> }
);

interface Safetensors {
  tensors: Map<string, SafetensorsTensor>;
  metadata: Record<string, string>;
}

/**
 * Reads a file. Its header is checked against the size of the file before the values get memory.
 * @throws MODEL_SAFETENSORS_HEADER, _TRUNCATED, _OFFSETS, _SHAPE or _DTYPE; errors of the file system as they are
 */
export function readSafetensors(path: string): Promise<Safetensors> {
  return withFile(path, 'r', async (file) => {
    const header = await readHeader(file, path);
    const tensors = new Map<string, SafetensorsTensor>();
    for (const [name, entry] of header.entries) {
      checkDtype(name, entry, path);
      const bytes = await readBytes(file, header.dataStart + entry.begin, entry.end - entry.begin, path);
      tensors.set(name, toTensor(entry, bytes.buffer));
    }
    return { tensors, metadata: header.metadata };
  });
}

/** Reads and checks the header alone: names, shapes, the dtypes as stored. Throws as {@link readSafetensors}. */
export function readSafetensorsHeader(path: string): Promise<SafetensorsHeader> {
  return withFile(path, 'r', (file) => readHeader(file, path));
}

/**
 * Writes a file that is there whole or not at all. The same tensors give the same bytes, whatever their order in the
 * map; for one key of metadata they are the bytes that Python's `safetensors` writes.
 * @throws MODEL_SAFETENSORS_SHAPE where a shape does not fit its data
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorData>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeFileAtomically(path, safetensorsPieces(tensors, metadata));
}

/** The header and the values as pieces of a file; the values are views of the tensors' own memory. */
export function safetensorsPieces(
  tensors: ReadonlyMap<string, TensorData>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array[] {
  // Wide values first, so that every tensor is aligned; then by name, as the reference implementation does.
  const ordered = [...tensors].sort(
    ([a, x], [b, y]) => y.data.BYTES_PER_ELEMENT - x.data.BYTES_PER_ELEMENT || (a < b ? -1 : 1),
  );
  const fields: [string, unknown][] = [];
  const keys = Object.keys(metadata).sort();
  if (keys.length > 0)
    fields.push(['__metadata__', Object.fromEntries(keys.map((key) => [key, metadata[key]]))]);
  let offset = 0;
  for (const [name, { shape, data }] of ordered) {
    if (name === '__metadata__') {
      throw new ModelError('MODEL_SAFETENSORS_HEADER', 'A tensor cannot be called __metadata__.');
    }
    if (elementCount(shape) !== data.length || shape.some((size) => size < 0)) {
      throw new ModelError(
        'MODEL_SAFETENSORS_SHAPE',
        `Tensor ${name} of shape [${shape}] has ${data.length} values.`,
      );
    }
    const end = offset + data.byteLength;
    fields.push([name, { dtype: dtypeOf(data), shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  // Written field by field: an object would move names that look like integers to its front.
  const json = Buffer.from(
    `{${fields.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)}}`,
  );
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  header.writeBigUInt64LE(BigInt(header.length - 8));
  json.copy(header, 8);
  return [
    header,
    ...ordered.map(([, { data }]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  ];
}

function dtypeOf(data: TensorData['data']): SafetensorsTensor['dtype'] {
  if (data instanceof Float32Array) return 'F32';
  if (data instanceof Float64Array) return 'F64';
  if (data instanceof Int32Array) return 'I32';
  if (data instanceof BigInt64Array) return 'I64';
  if (data instanceof Uint8Array) return 'U8';
  throw new ModelError(
    'MODEL_SAFETENSORS_DTYPE',
    `Values come as Float32Array, Float64Array, Int32Array, BigInt64Array or Uint8Array, not as ${Object.prototype.toString.call(data)}.`,
  );
}

const READABLE = ['F32', 'F64', 'F16', 'BF16', 'I32', 'I64', 'U8', 'BOOL'];

function checkDtype(name: string, { dtype }: SafetensorsEntry, source: string): void {
  if (READABLE.includes(dtype)) return;
  throw new ModelError(
    'MODEL_SAFETENSORS_DTYPE',
    `${source}: tensor ${name} has dtype ${dtype}, expected one of ${READABLE.join(', ')}; convert the file to F32.`,
  );
}

function toTensor({ dtype, shape }: SafetensorsEntry, bytes: ArrayBuffer): SafetensorsTensor {
  switch (dtype) {
    case 'F16':
      return { dtype: 'F32', shape, data: widen(new Uint16Array(bytes), float16Bits) };
    case 'BF16':
      return { dtype: 'F32', shape, data: widen(new Uint16Array(bytes), (bits) => bits << 16) };
    case 'F64':
      return { dtype, shape, data: new Float64Array(bytes) };
    case 'I32':
      return { dtype, shape, data: new Int32Array(bytes) };
    case 'I64':
      return { dtype, shape, data: new BigInt64Array(bytes) };
    case 'U8':
    case 'BOOL':
      return { dtype: 'U8', shape, data: new Uint8Array(bytes) };
    default:
      return { dtype: 'F32', shape, data: new Float32Array(bytes) };
  }
}

function widen(halves: Uint16Array, toFloat32Bits: (bits: number) => number): Float32Array<ArrayBuffer> {
  const bits = new Int32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = toFloat32Bits(halves[i]!);
  return new Float32Array(bits.buffer);
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

async function readHeader(file: FileHandle, path: string): Promise<SafetensorsHeader> {
  const { size } = await file.stat();
  const prefix = await readBytes(file, 0, Math.min(8, size), path);
  const length = headerLength(prefix, size, path);
  return parseHeader(await readBytes(file, 8, length, path), size, path);
}

async function readBytes(
  file: FileHandle,
  position: number,
  length: number,
  path: string,
): Promise<Uint8Array<ArrayBuffer>> {
  // One read call moves at most 2 GiB.
  const MAX_READ = 2 ** 30;
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(length - done, MAX_READ), position + done);
    if (bytesRead === 0) {
      throw new ModelError(
        'MODEL_SAFETENSORS_TRUNCATED',
        `${path}: the file ended at byte ${position + done} while it was being read; is someone writing it?`,
      );
    }
    done += bytesRead;
  }
  return bytes;
}
