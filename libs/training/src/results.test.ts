import fc from 'fast-check';
import { parquetMetadata, parquetReadObjects, parquetSchema } from 'hyparquet';
import { expect, it } from 'vitest';
import { resultsFile } from './results.js';

const read = async (bytes: Uint8Array) =>
  parquetReadObjects({
    file: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer,
  });

it('are read back by a parquet reader: numbers to the bit, those by token in float32', async () => {
  const number = fc.double({ noNaN: true });
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          item: fc.string({ unit: 'grapheme' }),
          score: number,
          kl: fc.array(number, { maxLength: 9 }),
        }),
        {
          minLength: 1,
          maxLength: 40,
        },
      ),
      async (results) => {
        const rows = await read(resultsFile(results));
        expect(rows).toEqual(results.map(({ kl, ...rest }) => ({ ...rest, kl: kl.map(Math.fround) })));
      },
    ),
    { numRuns: 50 },
  );
});

it('keep what is not a number, which training should never have made, for who looks for it', async () => {
  const [row] = await read(
    resultsFile([{ item: 'r/0/0', loss: Number.NaN, kl: [Number.POSITIVE_INFINITY] }]),
  );
  expect(row).toEqual({ item: 'r/0/0', loss: Number.NaN, kl: [Number.POSITIVE_INFINITY] });
});

it('are the same bytes for the same results', () => {
  const results = [{ item: 'r/0/0', score: 1, kl: [0.25, -1] }];
  expect(resultsFile(results)).toEqual(resultsFile(results));
});

it('have the types that other readers know', () => {
  const bytes = resultsFile([{ item: 'r/0/0', score: 1, kl: [] }]);
  const { children } = parquetSchema(parquetMetadata(bytes.buffer as ArrayBuffer));
  const [item, score, kl] = children;
  expect(item!.element).toMatchObject({ type: 'BYTE_ARRAY', converted_type: 'UTF8' });
  expect(score!.element).toMatchObject({ type: 'DOUBLE' });
  expect(kl!.element).toMatchObject({ converted_type: 'LIST' });
  expect(kl!.children[0]!.children[0]!.element).toMatchObject({ name: 'element', type: 'FLOAT' });
});

it('have the same keys for each item', () => {
  expect(() => resultsFile([{ item: 'a', kl: [] }, { item: 'b' }])).toThrow('expected results of item,kl');
});
