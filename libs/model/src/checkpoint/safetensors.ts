/**
 * Reader and writer of the safetensors format: 8 bytes of header length (little-endian), a JSON header, then the
 * values of all tensors, row-major and little-endian, without holes.
 * @see https://github.com/huggingface/safetensors#format
 */
import type { FileHandle } from 'node:fs/promises';
import { withFile, writeFileAtomically } from '@rlhf-streams/files';
import { ModelError } from '../errors.js';
import { decode } from './decode.js';
import type { Halves } from './encode.js';
import { checkNoPointer, POINTER_BYTES } from './lfs-pointer.js';
import { readBytes } from './read-bytes.js';
import {
  elementCount,
  headerLength,
  parseHeader,
  type SafetensorsEntry,
  type SafetensorsHeader,
} from './safetensors-header.js';

/** A tensor to write; its dtype is that of `data`, which holds the values row-major, or as bits those of a `dtype` of 16. */
export type TensorData = { readonly shape: readonly number[] } & (
  | { readonly data: Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array }
  | Halves
);

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
      const bytes = new Uint8Array(entry.end - entry.begin);
      await readBytes(file, header.dataStart + entry.begin, bytes, path);
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
  for (const [name, { shape, data }] of ordered) {
    if (elementCount(shape) !== data.length || shape.some((size) => size < 0)) {
      throw new ModelError(
        'MODEL_SAFETENSORS_SHAPE',
        `Tensor ${name} of shape [${shape}] has ${data.length} values.`,
      );
    }
  }
  const entries = ordered.map(([name, tensor]) => {
    const { shape, data } = tensor;
    return [name, { dtype: dtypeOf(tensor), shape, bytes: data.byteLength }] as const;
  });
  return [
    headerOf(entries, metadata),
    ...ordered.map(([, { data }]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  ];
}

/** A tensor whose values come when the header is written. */
export interface TensorEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
}

/** The beginning of a file that has these tensors, in this order, behind it. */
export function headerOf(
  tensors: readonly (readonly [name: string, TensorEntry])[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const fields: [string, unknown][] = [];
  const keys = Object.keys(metadata).sort();
  if (keys.length > 0)
    fields.push(['__metadata__', Object.fromEntries(keys.map((key) => [key, metadata[key]]))]);
  let offset = 0;
  for (const [name, { dtype, shape, bytes }] of tensors) {
    if (name === '__metadata__') {
      throw new ModelError('MODEL_SAFETENSORS_HEADER', 'A tensor cannot be called __metadata__.');
    }
    fields.push([name, { dtype, shape, data_offsets: [offset, offset + bytes] }]);
    offset += bytes;
  }
  // Written field by field: an object would move names that look like integers to its front.
  const json = Buffer.from(
    `{${fields.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)}}`,
  );
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  header.writeBigUInt64LE(BigInt(header.length - 8));
  json.copy(header, 8);
  return header;
}

function dtypeOf(tensor: TensorData): string {
  if ('dtype' in tensor) return tensor.dtype;
  const { data } = tensor;
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
    case 'BF16': {
      const data = new Float32Array(bytes.byteLength / 2);
      decode(dtype, new Uint8Array(bytes), data);
      return { dtype: 'F32', shape, data };
    }
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

async function readHeader(file: FileHandle, path: string): Promise<SafetensorsHeader> {
  const { size } = await file.stat();
  const prefix = await readBytes(file, 0, new Uint8Array(Math.min(POINTER_BYTES, size)), path);
  checkNoPointer(Buffer.from(prefix).toString('latin1'), path);
  const length = headerLength(prefix, size, path);
  return parseHeader(await readBytes(file, 8, new Uint8Array(length), path), size, path);
}
