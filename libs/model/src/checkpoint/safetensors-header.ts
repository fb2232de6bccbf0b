/** The header of a safetensors file, checked against the size of the file before anything is read from it. */
import { z } from 'zod';
import { ModelError } from '../errors.js';

/** A tensor's entry in the header; `begin` and `end` are byte offsets into the data that follows the header. */
export interface SafetensorsEntry {
  dtype: string;
  shape: number[];
  begin: number;
  end: number;
}

export interface SafetensorsHeader {
  /** In the order in which their values lie in the file. */
  entries: Map<string, SafetensorsEntry>;
  metadata: Record<string, string>;
  /** Where the data starts in the file, in bytes. */
  dataStart: number;
}

/** The limit of the format's reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;
const LENGTH_BYTES = 8;
/** The file is an object of entries, an entry an object of arrays: nothing is nested deeper. */
const MAX_DEPTH = 3;

/** Bits per value of every dtype the format names, also of those whose data is not read here. */
const DTYPE_BITS: Readonly<Record<string, number>> = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  F64: 64,
  I64: 64,
  U64: 64,
  C64: 64,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
};

const offset = z.int().nonnegative();
const entrySchema = z.object({
  dtype: z.string(),
  shape: z.array(offset),
  data_offsets: z.tuple([offset, offset]),
});
const metadataSchema = z.record(z.string(), z.string());

/**
 * The length of the JSON header from the first bytes of a file of `fileBytes` bytes.
 * @throws MODEL_SAFETENSORS_TRUNCATED, MODEL_SAFETENSORS_HEADER
 */
export function headerLength(prefix: Uint8Array, fileBytes: number, source: string): number {
  if (fileBytes < LENGTH_BYTES || prefix.byteLength < LENGTH_BYTES) {
    throw new ModelError(
      'MODEL_SAFETENSORS_TRUNCATED',
      `${source}: expected at least ${LENGTH_BYTES} bytes, the length of the header; the file has ${fileBytes}.`,
    );
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new ModelError(
      'MODEL_SAFETENSORS_HEADER',
      `${source}: the header is said to have ${length} bytes, at most ${MAX_HEADER_BYTES} are allowed; is this a safetensors file?`,
    );
  }
  if (LENGTH_BYTES + Number(length) > fileBytes) {
    throw new ModelError(
      'MODEL_SAFETENSORS_TRUNCATED',
      `${source}: the header is said to have ${length} bytes, but the file ends after ${fileBytes - LENGTH_BYTES}; write or fetch the file again.`,
    );
  }
  return Number(length);
}

/**
 * Parses and checks a header: every shape fits its bytes, and the tensors fill the data without hole or overlap.
 * @throws MODEL_SAFETENSORS_HEADER, MODEL_SAFETENSORS_DTYPE, MODEL_SAFETENSORS_SHAPE, MODEL_SAFETENSORS_OFFSETS,
 *   MODEL_SAFETENSORS_TRUNCATED
 */
export function parseHeader(header: Uint8Array, fileBytes: number, source: string): SafetensorsHeader {
  const fields = parseJsonObject(header, source);
  const metadata = metadataSchema.safeParse(fields.get('__metadata__') ?? {});
  if (!metadata.success) {
    throw new ModelError(
      'MODEL_SAFETENSORS_HEADER',
      `${source}: __metadata__ must map strings to strings: ${z.prettifyError(metadata.error)}`,
    );
  }
  fields.delete('__metadata__');
  const entries = [...fields].map(([name, value]) => [name, parseEntry(name, value, source)] as const);
  entries.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  const dataStart = LENGTH_BYTES + header.byteLength;
  checkOffsets(entries, fileBytes - dataStart, source);
  return { entries: new Map(entries), metadata: metadata.data, dataStart };
}

function parseEntry(name: string, value: unknown, source: string): SafetensorsEntry {
  const parsed = entrySchema.safeParse(value);
  if (!parsed.success) {
    throw new ModelError(
      'MODEL_SAFETENSORS_HEADER',
      `${source}: the header entry of tensor ${name} is malformed: ${z.prettifyError(parsed.error)}`,
    );
  }
  const {
    dtype,
    shape,
    data_offsets: [begin, end],
  } = parsed.data;
  const bits = Object.hasOwn(DTYPE_BITS, dtype) ? DTYPE_BITS[dtype]! : undefined;
  if (bits === undefined) {
    throw new ModelError(
      'MODEL_SAFETENSORS_DTYPE',
      `${source}: tensor ${name} has the unknown dtype ${dtype}.`,
    );
  }
  const values = elementCount(shape);
  if (values === undefined || values * bits !== (end - begin) * 8) {
    throw new ModelError(
      'MODEL_SAFETENSORS_SHAPE',
      `${source}: tensor ${name} of shape [${shape}] and dtype ${dtype} does not fit its offsets [${begin}, ${end}].`,
    );
  }
  return { dtype, shape, begin, end };
}

/** The product of a shape's dimensions, or undefined where it is no safe integer. */
export function elementCount(shape: readonly number[]): number | undefined {
  let count = 1;
  for (const size of shape) {
    count *= size;
    if (!Number.isSafeInteger(count) || count < 0) return undefined;
  }
  return count;
}

function checkOffsets(
  entries: readonly (readonly [string, SafetensorsEntry])[],
  dataBytes: number,
  source: string,
): void {
  let expected = 0;
  for (const [name, { begin, end }] of entries) {
    if (end > dataBytes) {
      throw new ModelError(
        'MODEL_SAFETENSORS_TRUNCATED',
        `${source}: tensor ${name} ends at byte ${end} of the data, but the file has ${dataBytes}; write or fetch the file again.`,
      );
    }
    if (begin !== expected) {
      throw new ModelError(
        'MODEL_SAFETENSORS_OFFSETS',
        `${source}: tensor ${name} starts at byte ${begin} of the data, expected ${expected}: tensors must follow each other without hole or overlap.`,
      );
    }
    expected = end;
  }
  if (expected !== dataBytes) {
    throw new ModelError(
      'MODEL_SAFETENSORS_OFFSETS',
      `${source}: ${dataBytes - expected} bytes follow the last tensor; the header must account for every byte.`,
    );
  }
}

function parseJsonObject(header: Uint8Array, source: string): Map<string, unknown> {
  try {
    const json = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header);
    checkKeysAndDepth(json);
    const value: unknown = JSON.parse(json);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new SyntaxError('it is not an object');
    }
    return new Map(Object.entries(value));
  } catch (cause) {
    throw new ModelError(
      'MODEL_SAFETENSORS_HEADER',
      `${source}: the header must be a JSON object of tensors: ${cause instanceof Error ? cause.message : cause}`,
      { cause },
    );
  }
}

/** `JSON.parse` silently keeps the last of two equal keys: this finds a second tensor of the same name. */
function checkKeysAndDepth(json: string): void {
  const scopes: Set<unknown>[] = [];
  let string = '';
  for (let i = 0; i < json.length; i++) {
    const character = json[i];
    if (character === '{' || character === '[') {
      if (scopes.push(new Set()) > MAX_DEPTH) throw new SyntaxError('it is nested too deeply');
    } else if (character === '}' || character === ']') {
      scopes.pop();
    } else if (character === '"') {
      const start = i++;
      while (i < json.length && json[i] !== '"') i += json[i] === '\\' ? 2 : 1;
      string = json.slice(start, i + 1);
    } else if (character === ':') {
      const key: unknown = JSON.parse(string);
      if (scopes.at(-1)?.has(key)) throw new SyntaxError(`the key ${string} appears twice`);
      scopes.at(-1)?.add(key);
    }
  }
}
