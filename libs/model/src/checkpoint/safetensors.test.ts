import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ModelError } from '../errors.js';
import {
  readSafetensors,
  readSafetensorsHeader,
  safetensorsPieces,
  type TensorData,
  writeSafetensors,
} from './safetensors.js';

const golden = new URL('../../fixtures/models/gpt2/model.safetensors', import.meta.url);

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'safetensors-'));
});
afterAll(() => rm(dir, { recursive: true }));

/** A file with any header, written by hand. */
function file(header: string | object, dataBytes = 0, claimedLength?: bigint): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimedLength ?? BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(dataBytes)]);
}

const tensor = (begin: number, end: number, shape = [(end - begin) / 4], dtype = 'F32') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

async function decode(bytes: Uint8Array) {
  const path = join(dir, 'any.safetensors');
  await writeFile(path, bytes);
  return readSafetensors(path);
}

const encode = (...given: Parameters<typeof safetensorsPieces>): Buffer =>
  Buffer.concat(safetensorsPieces(...given));

async function codeOf(bytes: Uint8Array): Promise<string> {
  try {
    await decode(bytes);
    return 'none';
  } catch (error) {
    if (error instanceof ModelError) return error.code;
    throw error;
  }
}

describe('the reader', () => {
  it('reads what Python wrote, and the writer gives the same bytes back', async () => {
    const bytes = await readFile(golden);
    const { tensors, metadata } = await readSafetensors(golden.pathname);
    expect(metadata).toEqual({ format: 'pt' });
    expect(tensors.get('transformer.wte.weight')).toMatchObject({ dtype: 'F32', shape: [384, 48] });
    expect(Buffer.compare(encode(tensors, metadata), bytes)).toBe(0);
    const { entries } = await readSafetensorsHeader(golden.pathname);
    expect([...entries.keys()]).toEqual([...tensors.keys()]);
  });

  it('widens half precision without loss', async () => {
    const halves: [number, number][] = [
      [0x0000, 0],
      [0x8000, -0],
      [0x3c00, 1],
      [0xc000, -2],
      [0x3555, 0.333251953125],
      [0x7bff, 65504],
      [0x0400, 2 ** -14],
      [0x03ff, 1023 * 2 ** -24],
      [0x0001, 2 ** -24],
      [0x8200, -(2 ** -15)],
      [0x7c00, Infinity],
      [0xfc00, -Infinity],
      [0x7e00, Number.NaN],
    ];
    const brains: [number, number][] = [
      [0x3f80, 1],
      [0xc040, -3],
      [0x0001, 2 ** -133],
      [0x7f80, Infinity],
      [0x7fc0, Number.NaN],
    ];
    for (const [dtype, cases] of [
      ['F16', halves],
      ['BF16', brains],
    ] as const) {
      const bytes = file({ x: tensor(0, 2 * cases.length, [cases.length], dtype) }, 2 * cases.length);
      const view = new DataView(bytes.buffer, bytes.byteOffset + bytes.byteLength - 2 * cases.length);
      for (const [i, [bits]] of cases.entries()) view.setUint16(2 * i, bits, true);
      const x = (await decode(bytes)).tensors.get('x')!;
      expect(x.dtype).toBe('F32');
      expect(Array.from(x.data, Number)).toEqual(cases.map(([, value]) => value));
    }
  });

  it('reads scalars and empty tensors', async () => {
    const bytes = file({ empty: tensor(0, 0, [3, 0]), scalar: tensor(0, 4, []) }, 4);
    const { tensors } = await decode(bytes);
    expect(tensors.get('scalar')).toMatchObject({ shape: [], data: new Float32Array(1) });
    expect(tensors.get('empty')).toMatchObject({ shape: [3, 0], data: new Float32Array(0) });
  });

  const huge = Number.MAX_SAFE_INTEGER;
  it.each<[string, string, Uint8Array]>([
    ['an empty file', 'TRUNCATED', new Uint8Array(0)],
    ['seven bytes', 'TRUNCATED', new Uint8Array(7)],
    ['a header length beyond the file', 'TRUNCATED', file({}, 0, 1000n)],
    ['a header of over 100 MB', 'HEADER', file({}, 0, 100_000_001n)],
    ['a header length of 2^64 - 1', 'HEADER', file({}, 0, 2n ** 64n - 1n)],
    ['no JSON', 'HEADER', file('{"x": ')],
    ['an unterminated string', 'HEADER', file('{"x')],
    ['a colon before any key', 'HEADER', file('{:1}')],
    ['JSON that is no object', 'HEADER', file('[]')],
    ['a header that is no UTF-8', 'HEADER', Buffer.concat([file('{"x', 0, 4n), Buffer.from([0xff])])],
    ['deep nesting', 'HEADER', file(`{"x":${'['.repeat(100_000)}`)],
    ['metadata that is no strings', 'HEADER', file({ __metadata__: { format: 1 } })],
    ['an entry without offsets', 'HEADER', file({ x: { dtype: 'F32', shape: [] } })],
    ['a negative dimension', 'HEADER', file({ x: tensor(0, 4, [-1, -1]) }, 4)],
    ['a fractional dimension', 'HEADER', file({ x: tensor(0, 4, [0.5, 2]) }, 4)],
    ['an unsafe dimension', 'HEADER', file({ x: tensor(0, 4, [2 ** 53]) }, 4)],
    ['a negative offset', 'HEADER', file({ x: tensor(-4, 0, [1]) }, 4)],
    [
      'a tensor twice',
      'HEADER',
      file(`{"x":${JSON.stringify(tensor(0, 0, [0]))},"\\u0078":${JSON.stringify(tensor(0, 4))}}`, 4),
    ],
    ['an unknown dtype', 'DTYPE', file({ x: tensor(0, 4, [1], 'F31') }, 4)],
    ['a dtype from the prototype', 'DTYPE', file({ x: tensor(0, 4, [1], 'constructor') }, 4)],
    ['a dtype that is not read', 'DTYPE', file({ x: tensor(0, 4, [4], 'F8_E5M2') }, 4)],
    ['a shape that overflows', 'SHAPE', file({ x: tensor(0, 4, [huge, huge]) }, 4)],
    ['a shape whose bytes overflow', 'SHAPE', file({ x: tensor(0, 4, [huge]) }, 4)],
    ['a shape that is too small', 'SHAPE', file({ x: tensor(0, 8, [1]) }, 8)],
    ['offsets that run backwards', 'SHAPE', file({ x: tensor(4, 0, [1]) }, 4)],
    ['data that ends early', 'TRUNCATED', file({ x: tensor(0, 8) }, 7)],
    ['a tensor of a terabyte', 'TRUNCATED', file({ x: tensor(0, 2 ** 40) }, 8)],
    ['overlapping tensors', 'OFFSETS', file({ x: tensor(0, 8), y: tensor(4, 12) }, 12)],
    ['two names for the same bytes', 'OFFSETS', file({ x: tensor(0, 8), y: tensor(0, 8) }, 8)],
    ['a hole', 'OFFSETS', file({ x: tensor(0, 4), y: tensor(8, 12) }, 12)],
    ['a hole in front', 'OFFSETS', file({ x: tensor(4, 8) }, 8)],
    ['trailing bytes', 'OFFSETS', file({ x: tensor(0, 4) }, 5)],
  ])('refuses %s', async (_, code, bytes) => {
    expect(await codeOf(bytes)).toBe(`MODEL_SAFETENSORS_${code}`);
  });

  it('names the file in its errors', async () => {
    const path = join(dir, 'truncated.safetensors');
    await writeFile(path, await readFile(golden));
    await truncate(path, 200_000);
    const refusal = { code: 'MODEL_SAFETENSORS_TRUNCATED', message: expect.stringContaining(path) };
    await expect(readSafetensors(path)).rejects.toMatchObject(refusal);
    await expect(readSafetensorsHeader(path)).rejects.toMatchObject(refusal);
  });

  it('reads a corrupted file equal or refuses it, and never anything else', async () => {
    const valid = encode(
      new Map<string, TensorData>([
        ['a.weight', { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
        ['a.bias', { shape: [3], data: Float32Array.of(7, 8, 9) }],
        ['step', { shape: [], data: BigInt64Array.of(12n) }],
      ]),
      { format: 'pt' },
    );
    const headerEnd = valid.length - 8 - 9 * 4;
    const values = Buffer.from(valid.subarray(headerEnd));
    const edit = fc.oneof(
      fc.record({ kind: fc.constant('set' as const), at: fc.nat(headerEnd - 1), byte: fc.nat(255) }),
      fc.record({
        kind: fc.constant('digit' as const),
        at: fc.nat(headerEnd - 1),
        byte: fc.integer({ min: 48, max: 57 }),
      }),
      fc.record({ kind: fc.constant('cut' as const), at: fc.nat(valid.length), byte: fc.constant(0) }),
      fc.record({
        kind: fc.constant('grow' as const),
        at: fc.integer({ min: 1, max: 64 }),
        byte: fc.nat(255),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
        let bytes = Uint8Array.from(valid);
        for (const { kind, at, byte } of edits) {
          if (kind === 'cut') bytes = bytes.slice(0, at);
          else if (kind === 'grow') bytes = Uint8Array.of(...bytes, ...new Uint8Array(at).fill(byte));
          else if (at < bytes.length && (kind === 'set' || (bytes[at]! >= 48 && bytes[at]! <= 57)))
            bytes[at] = byte;
        }
        // Several changes can agree with each other, a cut with an earlier start of the data: one alone cannot.
        if ((await codeOf(bytes)) !== 'none' || edits.length > 1) return;
        // What is still read has every byte of the values in its place; names, shapes and dtypes may read differently.
        const read = [...(await decode(bytes)).tensors.values()];
        expect(Buffer.concat(read.map(({ data }) => new Uint8Array(data.buffer)))).toEqual(values);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('the writer', () => {
  const anyTensor: fc.Arbitrary<TensorData> = fc
    .tuple(
      fc.array(fc.nat(4), { maxLength: 3 }),
      fc.constantFrom('F32', 'F64', 'I32', 'I64', 'U8'),
      fc.integer(),
    )
    .map(([shape, dtype, seed]) => {
      const length = shape.reduce((product, size) => product * size, 1);
      const values = Array.from({ length }, (_, i) => (seed * (i + 1)) % 1000);
      if (dtype === 'F32') return { shape, data: Float32Array.from(values, (x) => x / 7) };
      if (dtype === 'F64') return { shape, data: Float64Array.from(values, (x) => x / 7) };
      if (dtype === 'I32') return { shape, data: Int32Array.from(values) };
      if (dtype === 'I64') return { shape, data: BigInt64Array.from(values, BigInt) };
      return { shape, data: Uint8Array.from(values) };
    });
  const anyTensors = fc.uniqueArray(
    fc.tuple(
      fc.string({ unit: 'binary' }).filter((name) => name !== '__metadata__'),
      anyTensor,
    ),
    { selector: ([name]) => name, maxLength: 6 },
  );

  it('writes what it reads, the same bytes for any order, aligned', async () => {
    await fc.assert(
      fc.asyncProperty(anyTensors, async (list) => {
        const bytes = encode(new Map(list), { b: '2', a: '1' });
        expect(encode(new Map([...list].reverse()), { a: '1', b: '2' })).toEqual(bytes);
        expect(bytes.readUInt32LE(0) % 8).toBe(0);
        const { tensors, metadata } = await decode(bytes);
        expect(metadata).toEqual({ a: '1', b: '2' });
        expect(tensors.size).toBe(list.length);
        for (const [name, { shape, data }] of list) expect(tensors.get(name)).toMatchObject({ shape, data });
      }),
    );
  });

  it('replaces a file and leaves nothing else behind', async () => {
    const path = join(dir, 'weights.safetensors');
    await writeSafetensors(path, new Map([['x', { shape: [1], data: Float32Array.of(1) }]]));
    await writeSafetensors(path, new Map([['x', { shape: [1], data: Float32Array.of(2) }]]));
    expect((await readSafetensors(path)).tensors.get('x')?.data).toEqual(Float32Array.of(2));
    expect((await readdir(dir)).filter((name) => name.includes('weights'))).toEqual(['weights.safetensors']);
  });

  it('keeps the old file when the new one cannot be written', async () => {
    const path = join(dir, 'kept.safetensors');
    await writeSafetensors(path, new Map([['x', { shape: [1], data: Float32Array.of(1) }]]));
    await expect(
      writeSafetensors(path, new Map([['x', { shape: [2], data: Float32Array.of(2) }]])),
    ).rejects.toMatchObject({ code: 'MODEL_SAFETENSORS_SHAPE' });
    expect((await readSafetensors(path)).tensors.get('x')?.data).toEqual(Float32Array.of(1));
  });
});
